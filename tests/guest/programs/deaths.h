/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef DEATHS_H
#define DEATHS_H

/* What the programs of test_trace_exit.py share. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>
#include "say.h"

/*
 * The beginning of each: executed again by one of its processes it only ends, with
 * its argument as the status; else this is memory that its processes share.
 */
static inline void *begin(int argc, char **argv, size_t size)
{
	void *found;

	if (argc > 1)
		_exit(atoi(argv[1]));
	found = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(found != MAP_FAILED, "mmap");
	return found;
}

/* Its state in /proc: Z for a zombie */
static inline char state_of(pid_t child)
{
	char path[64], text[512];
	int fd;
	ssize_t got;

	snprintf(path, sizeof(path), "/proc/%d/stat", child);
	fd = open(path, O_RDONLY);
	got = read(fd, text, sizeof(text) - 1);
	must(got > 0, "/proc");
	text[got] = 0;
	close(fd);
	return strrchr(text, ')')[2];
}

static inline void until_zombie(pid_t child)
{
	while (state_of(child) != 'Z')
		usleep(1000);
}

#endif /* DEATHS_H */
