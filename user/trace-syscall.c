// SPDX-License-Identifier: GPL-2.0-only
/*
 * trace-syscall - a few system calls whose arguments and results are known
 *
 * Watch it with
 *	make debug PROGRAM=build/user/trace-syscall
 *	(gdb) source gdb/seginfo.py
 *	(gdb) lab trace syscall openat,read,write,close,wait4
 *
 * or with `lab trace syscall all`. A call that fails returns a negative number to
 * its caller in the kernel; the C library turns it into -1 and errno.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILE_NAME "/proc/version"

static void check(int holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "trace-syscall: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* A path, flags, a descriptor, a number of bytes */
static void read_a_file(void)
{
	char text[16];
	int file = open(FILE_NAME, O_RDONLY | O_CLOEXEC);

	check(file >= 0, "open " FILE_NAME);
	check(read(file, text, sizeof(text)) == sizeof(text), "read");
	check(!memcmp(text, "Linux version", 13), FILE_NAME " says something else");
	check(!close(file), "close");
}

/* Errors: told by name */
static void fail(void)
{
	const struct iovec nowhere = { (void *)1, 1 };

	check(open("/no/such/file", O_WRONLY) == -1 && errno == ENOENT, "ENOENT");
	check(close(1000) == -1 && errno == EBADF, "EBADF");
	check(writev(STDOUT_FILENO, &nowhere, 1) == -1 && errno == EFAULT, "EFAULT");
}

/* A call that waits, and a call that does not return */
static void wait_for_a_child(void)
{
	int status;
	pid_t child = fork();

	check(child >= 0, "fork");
	if (!child)
		_exit(7);
	check(waitpid(child, &status, 0) == child, "waitpid");
	check(WIFEXITED(status) && WEXITSTATUS(status) == 7, "the child's status");
}

int main(void)
{
	static const char done[] = "trace-syscall: done\n";

	read_a_file();
	fail();
	wait_for_a_child();
	check(write(STDOUT_FILENO, done, sizeof(done) - 1) == sizeof(done) - 1, "write");
	return 0;
}
