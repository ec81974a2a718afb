// SPDX-License-Identifier: GPL-2.0-only
/*
 * trace-mmap - the ways in which a program gets memory from the kernel
 *
 * Watch it with
 *	make debug PROGRAM=build/user/trace-mmap
 *	(gdb) source gdb/seginfo.py
 *	(gdb) lab trace mmap
 *
 * A small block makes malloc() move brk, a large one makes it call mmap(). Areas
 * that touch and are alike are merged, and an area of which a part is changed is
 * split into two or three. Each step is announced before it is done.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE	4096UL
#define MANY	(8 * PAGE)
#define SMALL	(100 * 1024)
#define LARGE	(1024 * 1024)

static void check(int holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "trace-mmap: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void say(const char *what)
{
	check(write(STDOUT_FILENO, what, strlen(what)) > 0, "write");
}

static char *map(void *wish, size_t size, int flags)
{
	char *area = mmap(wish, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	check(area != MAP_FAILED, "mmap");
	return area;
}

/* Below mmap_threshold: from the heap, whose end brk() moves */
static void a_small_block(void)
{
	char *end = sbrk(0), *first, *second;

	say("trace-mmap: malloc of two small blocks\n");
	first = malloc(SMALL);
	second = malloc(SMALL);
	check(first && second && (char *)sbrk(0) > end, "the heap did not grow");
	free(second);
	free(first);
}

/* From mmap_threshold on: an area of its own, which free() gives back */
static void a_large_block(void)
{
	char *end = sbrk(0), *block;

	say("trace-mmap: malloc of a large block\n");
	block = malloc(LARGE);
	check(block && sbrk(0) == end, "the heap moved");
	free(block);
}

/* Areas that touch and are alike are merged */
static void merge(char *area)
{
	say("trace-mmap: map the pages below, which makes one area of two\n");
	check(map(area - MANY, MANY, MAP_FIXED) == area - MANY, "merge");
}

/* A part with other flags is an area of its own */
static void split(char *area)
{
	say("trace-mmap: protect the middle, which makes three areas of one\n");
	check(!mprotect(area + 2 * PAGE, PAGE, PROT_READ), "mprotect");
	say("trace-mmap: and allow it again\n");
	check(!mprotect(area + 2 * PAGE, PAGE, PROT_READ | PROT_WRITE), "mprotect");
}

/* A hole leaves an area on each side of it */
static void hole(char *area)
{
	say("trace-mmap: unmap a page in the middle\n");
	check(!munmap(area + 4 * PAGE, PAGE), "munmap");
}

/* Page tables move, contents do not: no byte is copied */
static void move(void)
{
	char *area = map(NULL, 4 * PAGE, 0), *moved;

	say("trace-mmap: make the lower half larger, for which it has to move\n");
	strcpy(area, "still there");
	moved = mremap(area, 2 * PAGE, 16 * PAGE, MREMAP_MAYMOVE);
	check(moved != MAP_FAILED && moved != area, "mremap");
	check(!strcmp(moved, "still there"), "the contents");
	check(!munmap(moved, 16 * PAGE) && !munmap(area + 2 * PAGE, 2 * PAGE), "munmap");
}

/* A file's pages: private, so that what is written stays here */
static void a_file(void)
{
	FILE *self = fopen("/proc/self/exe", "r");
	char *area;

	say("trace-mmap: map the first page of this program's file\n");
	check(!!self, "open");
	area = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fileno(self), 0);
	check(area != MAP_FAILED && !memcmp(area, "\177ELF", 4), "mmap");
	check(!munmap(area, PAGE), "munmap");
	fclose(self);
}

int main(void)
{
	char *area;

	a_small_block();
	a_large_block();
	say("trace-mmap: map eight pages where the kernel likes\n");
	area = map(NULL, MANY, 0);
	merge(area);
	split(area);
	hole(area);
	say("trace-mmap: unmap all of it\n");
	check(!munmap(area - MANY, 2 * MANY), "munmap");
	move();
	a_file();
	say("trace-mmap: ask for more than there is\n");
	check(mmap(NULL, 1UL << 50, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	      MAP_FAILED, "mmap of 1 PiB succeeded");
	return 0;
}
