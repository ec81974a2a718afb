// SPDX-License-Identifier: GPL-2.0-only
/*
 * leader - a process whose first thread ends before the other does
 *
 * The first thread calls segment_info(), then ends. The other one waits until the first is
 * a zombie, maps a page, and ends the process. The function that maps the page keeps its
 * return address in a register during the call, as vfork() does.
 */
#include "lab.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) */
long map_page(long size);

asm(".pushsection .text\n"
    ".type in_register, @function\n"
    "in_register:\n"
    "	.cfi_startproc\n"
    "	pop %rbx\n"
    "	.cfi_adjust_cfa_offset -8\n"
    "	.cfi_register %rip, %rbx\n"
    "	syscall\n"
    "	push %rbx\n"
    "	.cfi_adjust_cfa_offset 8\n"
    "	.cfi_offset %rip, -8\n"
    "	ret\n"
    "	.cfi_endproc\n"
    ".size in_register, . - in_register\n"
    ".type map_page, @function\n"
    "map_page:\n"
    "	.cfi_startproc\n"
    "	push %rbx\n"
    "	.cfi_adjust_cfa_offset 8\n"
    "	.cfi_rel_offset %rbx, 0\n"
    "	mov %rdi, %rsi\n"
    "	xor %edi, %edi\n"
    "	mov $1, %edx\n"
    "	mov $0x22, %r10d\n"
    "	mov $-1, %r8\n"
    "	xor %r9d, %r9d\n"
    "	mov $9, %eax\n"
    "	call in_register\n"
    "	pop %rbx\n"
    "	.cfi_adjust_cfa_offset -8\n"
    "	.cfi_restore %rbx\n"
    "	ret\n"
    "	.cfi_endproc\n"
    ".size map_page, . - map_page\n"
    ".popsection");

static void *other(void *nothing)
{
	char stat[64];

	(void)nothing;
	do {
		int fd = open("/proc/self/stat", O_RDONLY);
		ssize_t got = read(fd, stat, sizeof(stat) - 1);

		close(fd);
		if (got < 0)
			exit(1);
		stat[got] = '\0';
	} while (!strstr(stat, ") Z "));
	exit(map_page(4096) < 0);
}

int main(void)
{
	static struct segment_info info;
	pthread_t thread;

	if (pthread_create(&thread, NULL, other, NULL) || segment_info(&info) < 0) {
		perror("leader");
		return 1;
	}
	pthread_exit(NULL);
}
