// SPDX-License-Identifier: GPL-2.0-only
/*
 * remap - call segment_info() before and after each change of some areas
 *
 *	0: two areas of their own    1: another is new      2: the second is gone
 *	3: the first is read-only    4: the heap is larger  5: the first is in three
 *
 * For tests of views that show changes. The areas are at fixed places with gaps between.
 */
#include "lab.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096UL
#define FIRST ((char *)0x100000000)
#define SECOND ((char *)0x200000000)
#define THIRD ((char *)0x300000000)

static void check(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "remap: cannot %s: %m\n", what);
	exit(1);
}

static void map(char *at, size_t pages)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;

	check(mmap(at, pages * PAGE, PROT_READ | PROT_WRITE, flags, -1, 0) == at, "map memory");
}

static void show(void)
{
	static struct segment_info info;

	check(segment_info(&info) >= 0, "call segment_info");
}

int main(void)
{
	map(FIRST, 8);
	map(SECOND, 4);
	show();
	map(THIRD, 2);
	show();
	check(!munmap(SECOND, 4 * PAGE), "unmap memory");
	show();
	check(!mprotect(FIRST, 8 * PAGE, PROT_READ), "protect memory");
	show();
	check(sbrk(64 * PAGE) != (void *)-1, "enlarge the heap");
	show();
	check(!mprotect(FIRST + 2 * PAGE, PAGE, PROT_NONE), "protect a page");
	show();
	return 0;
}
