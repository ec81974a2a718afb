// SPDX-License-Identifier: GPL-2.0-only
/*
 * many - map very many areas, to measure how fast they are walked
 *
 *	many [AREAS]
 *
 * Maps AREAS areas, 20,000 by default, and calls segment_info() once.
 */
#include "lab.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096UL
#define MAX_AREAS 1000000UL

static void die(const char *what)
{
	fprintf(stderr, "many: cannot %s: %m\n", what);
	exit(1);
}

/* A process may have 65,530 areas unless an administrator allows more */
static void allow(unsigned long areas)
{
	FILE *file;

	if (areas <= 65000)
		return;
	file = fopen("/proc/sys/vm/max_map_count", "w");
	if (!file || fprintf(file, "%lu\n", areas + 1000) < 0 || fclose(file))
		die("raise /proc/sys/vm/max_map_count");
}

int main(int argc, char **argv)
{
	unsigned long areas = 20000;
	struct segment_info info;
	char *memory, *end = "";

	errno = 0;
	if (argc > 1)
		areas = strtoul(argv[1], &end, 10);
	if (argc > 2 || errno || *end || !areas || areas > MAX_AREAS) {
		fprintf(stderr, "usage: many [AREAS], from 1 to %lu\n",
			MAX_AREAS);
		return 2;
	}
	allow(areas);

	/* Pages that may be read by turns with pages that may not: none like its neighbour */
	memory = mmap(NULL, areas * PAGE, PROT_NONE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		die("map memory");
	for (unsigned long i = 1; i < areas; i += 2) {
		if (mprotect(memory + i * PAGE, PAGE, PROT_READ))
			die("split an area");
	}

	if (segment_info(&info) < 0) {
		complain_no_call("many");
		return 1;
	}
	printf("many: mapped %lu areas, segment_info() gave the first %lu\n",
	       areas, info.ma_size);
	return 0;
}
