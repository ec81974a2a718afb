// SPDX-License-Identifier: GPL-2.0-only
/*
 * fixed - map memory over existing memory
 *
 * Prints
 *	fixed name=NAME at=ADDRESS covered=BYTES	what was there before
 *	hint asked=ADDRESS got=ADDRESS
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096UL
#define RW (PROT_READ | PROT_WRITE)
#define ANONYMOUS (MAP_PRIVATE | MAP_ANONYMOUS)

static char *map(void *where, size_t pages, int prot, int flags, int fd)
{
	char *found = mmap(where, pages * PAGE, prot, flags, fd, 0);

	if (found == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return found;
}

static void print_fixed(const char *name, char *at, size_t pages)
{
	printf("fixed name=%s at=%p covered=%lu\n", name, at, pages * PAGE);
}

int main(void)
{
	char *room = map(NULL, 100, PROT_NONE, ANONYMOUS, -1), *area, *asked, *got;
	int fd = open("/tmp/fixed.txt", O_RDWR | O_CREAT, 0600);

	int read_only = open("/tmp/fixed.txt", O_RDONLY);

	if (fd < 0 || read_only < 0 || ftruncate(fd, 16 * PAGE))
		return 1;
	munmap(room, 100 * PAGE); /* from here on nothing else maps memory there */
	setbuf(stdout, NULL);

	area = map(room, 8, RW, ANONYMOUS | MAP_FIXED_NOREPLACE, -1);
	area[0] = 5;
	print_fixed("alike", map(area, 8, RW, ANONYMOUS | MAP_FIXED, -1), 8);
	if (area[0])
		return 1;

	area = map(room + 20 * PAGE, 8, RW, ANONYMOUS | MAP_FIXED_NOREPLACE, -1);
	print_fixed("half", map(area + 4 * PAGE, 8, PROT_READ, ANONYMOUS | MAP_FIXED, -1), 4);

	area = map(room + 40 * PAGE, 8, RW, MAP_SHARED | MAP_FIXED_NOREPLACE, fd);
	print_fixed("private", map(area, 3, RW, MAP_PRIVATE | MAP_FIXED, fd), 3);

	print_fixed("beside", map(area + 8 * PAGE, 2, PROT_READ, ANONYMOUS | MAP_FIXED, -1), 0);

	map(room + 60 * PAGE, 8, PROT_READ, ANONYMOUS | MAP_FIXED_NOREPLACE, -1);
	area = map(room + 80 * PAGE, 6, RW, ANONYMOUS | MAP_FIXED_NOREPLACE, -1);
	print_fixed("moved", mremap(area, 6 * PAGE, 6 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			     room + 60 * PAGE), 6);

	/* Refused after mmap_lock was taken, with the area in place */
	if (mmap(room, 8 * PAGE, RW, MAP_SHARED | MAP_FIXED, read_only, 0) != MAP_FAILED)
		return 1;

	asked = room + 90 * PAGE + 0x234;
	got = map(asked, 1, RW, ANONYMOUS, -1);
	printf("hint asked=%p got=%p\n", asked, got);
	return 0;
}
