// SPDX-License-Identifier: GPL-2.0-only
/*
 * helper - makes the kernel execute a program and wait for it, as it does with modprobe
 *
 * For tests/debugger/test_trace_exit.py.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#define PROGRAM "/bin/true"

int main(void)
{
	int fd = open("/proc/sys/kernel/modprobe", O_WRONLY);

	if (write(fd, PROGRAM, strlen(PROGRAM)) != (ssize_t)strlen(PROGRAM)) {
		perror("helper: /proc/sys/kernel/modprobe");
		return 1;
	}
	/* Calls request_module() before it fails */
	if (!mount("none", "/", "unheard_of", 0, NULL) || errno != ENODEV) {
		perror("helper: mount");
		return 1;
	}
	return 0;
}
