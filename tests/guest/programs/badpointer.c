// SPDX-License-Identifier: GPL-2.0-only
/*
 * badpointer - call segment_info() where it cannot write, then once well
 *
 * For tests of the debugger: an error of the caller is reported, but not as a
 * failure of the kernel.
 */
#include "segment_info.h"
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define SEGMENT_INFO_NR 451
#define PAGE 4096

int main(void)
{
	static struct segment_info info;
	char *half;

	/* The struct would extend beyond the end of what is mapped */
	half = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (half == MAP_FAILED || munmap(half + PAGE, PAGE)) {
		perror("badpointer: cannot map");
		return 1;
	}
	syscall(SEGMENT_INFO_NR, NULL);
	syscall(SEGMENT_INFO_NR, half + PAGE - 1000);
	return syscall(SEGMENT_INFO_NR, &info) != getpid();
}
