// SPDX-License-Identifier: GPL-2.0-only
/*
 * shared_byte - two processes write to one byte; then the first calls segment_info()
 *
 * Prints
 *	byte ADDRESS own ADDRESS twice ADDRESS parent PID child PID
 *
 * The first is shared with the child, the second is not; the third is mapped twice.
 * Finally a second child calls, which has never written. Its mm_struct may well be where
 * the first child's was.
 */
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "segment_info.h"

int main(void)
{
	static struct segment_info info;
	volatile char *byte = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	volatile char *own = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = memfd_create("twice", 0);
	volatile char *once, *again;
	pid_t child;

	if (fd < 0 || ftruncate(fd, 4096))
		return 1;
	once = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	again = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	*once = 3;
	*again = 79; /* the same byte */
	*byte = 1;
	*own = 2;
	child = fork();
	if (!child) {
		*byte = 77;
		*own = 78; /* in the child's own copy */
		_exit(0);
	}
	if (child < 0 || waitpid(child, NULL, 0) != child)
		return 1;
	printf("byte %p own %p twice %p parent %d child %d\n", (void *)byte,
	       (void *)own, (void *)once, getpid(), child);
	fflush(stdout);
	if (syscall(451, &info) < 0)
		return 1;
	child = fork();
	if (!child)
		_exit(syscall(451, &info) < 0);
	return child < 0 || waitpid(child, NULL, 0) != child;
}
