// SPDX-License-Identifier: GPL-2.0-only
/*
 * storm - some threads call segment_info() while others change the memory layout
 *
 *	storm [CALLERS [MAPPERS [CALLS]]]
 *
 * Two callers, two mappers and 300 calls of each caller unless told otherwise.
 * It ends with "storm: N calls, N ok": a debugger that stops at each call must
 * have seen exactly N, all of them right.
 *
 * The mappers work in a window that is among the first 24 areas, and map files
 * with all kinds of names.
 */
#include "lab.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096UL
#define PAGES 256
#define MAX_THREADS 64

static unsigned long callers = 2, mappers = 2, calls = 300;

/* PAGES pages in which the mappers work */
static char *window;
static int files[5];
static pthread_barrier_t start;
/* Atomic: tells the mappers to end */
static bool done;
/* Atomic: calls answered correctly */
static unsigned long good;

static void die(const char *what)
{
	fprintf(stderr, "storm: cannot %s: %m\n", what);
	exit(1);
}

static int make_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);

	if (fd < 0)
		die("make a file in /tmp");
	return fd;
}

/* The kernel keeps a short name inside the directory entry, a long one outside */
static void open_files(void)
{
	files[0] = open("/proc/self/exe", O_RDONLY);
	files[1] = make_file("/tmp/storm");
	files[2] = make_file("/tmp/a name too long for a directory entry");
	files[3] = make_file("/tmp/deleted");
	files[4] = memfd_create("storm", 0);
	if (files[0] < 0 || files[4] < 0 || unlink("/tmp/deleted"))
		die("open the files to map");
}

static void *mapper(void *seed)
{
	static const int prots[] = { PROT_NONE, PROT_READ,
				     PROT_READ | PROT_EXEC };
	unsigned int random = (unsigned long)seed;

	pthread_barrier_wait(&start);
	while (!__atomic_load_n(&done, __ATOMIC_RELAXED)) {
		size_t pages = 1 + rand_r(&random) % 4;
		size_t page = rand_r(&random) % (PAGES - pages + 1);
		char *at = window + page * PAGE;
		int prot = prots[rand_r(&random) % 3];
		unsigned int choice = rand_r(&random) % 12;
		int sharing = choice == 5 ? MAP_SHARED : MAP_PRIVATE;
		void *got = at;

		if (choice < 5)
			got = mmap(at, pages * PAGE, prot,
				   MAP_PRIVATE | MAP_FIXED, files[choice],
				   rand_r(&random) % 4 * PAGE);
		else if (choice < 8)
			got = mmap(at, pages * PAGE, prot,
				   MAP_FIXED | MAP_ANONYMOUS | sharing, -1, 0);
		else if (choice < 10)
			munmap(at, pages * PAGE);
		else
			/* Fails where there is a hole, which is fine */
			mprotect(at, pages * PAGE, prot);
		if (got == MAP_FAILED)
			die("map memory");
	}
	return NULL;
}

static bool in_order(const struct segment_info *info)
{
	unsigned long behind = 0;

	for (size_t i = 0; i < info->ma_size; behind = info->ma[i++].vm_end) {
		if (info->ma[i].vm_start < behind ||
		    info->ma[i].vm_end <= info->ma[i].vm_start)
			return false;
	}
	return info->ma_size && info->ma_size <= SEGMENT_INFO_MAX_AREAS;
}

static void *caller(void *unused)
{
	pid_t me = gettid();

	pthread_barrier_wait(&start);
	for (unsigned long i = 0; i < calls; i++) {
		struct segment_info info;

		if (segment_info(&info) == me && in_order(&info))
			__atomic_fetch_add(&good, 1, __ATOMIC_RELAXED);
	}
	return unused;
}

static unsigned long number(const char *text, unsigned long min,
			    unsigned long max)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || *end || end == text || value < min || value > max) {
		fprintf(stderr, "storm: %s is not a number from %lu to %lu\n",
			text, min, max);
		exit(2);
	}
	return value;
}

static void arguments(int argc, char **argv)
{
	if (argc > 4) {
		fprintf(stderr, "usage: storm [CALLERS [MAPPERS [CALLS]]]\n");
		exit(2);
	}
	if (argc > 1)
		callers = number(argv[1], 1, MAX_THREADS);
	if (argc > 2)
		mappers = number(argv[2], 0, MAX_THREADS);
	if (argc > 3)
		calls = number(argv[3], 1, 1000000);
}

int main(int argc, char **argv)
{
	pthread_t caller_ids[MAX_THREADS], mapper_ids[MAX_THREADS];

	arguments(argc, argv);
	open_files();
	window = mmap(NULL, PAGES * PAGE, PROT_NONE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (window == MAP_FAILED)
		die("map memory");

	/* Every thread has its stack before the first hole is torn into the window */
	pthread_barrier_init(&start, NULL, callers + mappers);
	for (unsigned long i = 0; i < mappers; i++) {
		errno = pthread_create(&mapper_ids[i], NULL, mapper,
				       (void *)(i + 1));
		if (errno)
			die("start a thread");
	}
	for (unsigned long i = 0; i < callers; i++) {
		errno = pthread_create(&caller_ids[i], NULL, caller, NULL);
		if (errno)
			die("start a thread");
	}

	for (unsigned long i = 0; i < callers; i++)
		pthread_join(caller_ids[i], NULL);
	__atomic_store_n(&done, true, __ATOMIC_RELAXED);
	for (unsigned long i = 0; i < mappers; i++)
		pthread_join(mapper_ids[i], NULL);

	printf("storm: %lu calls, %lu ok\n", callers * calls, good);
	return good != callers * calls;
}
