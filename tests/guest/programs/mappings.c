// SPDX-License-Identifier: GPL-2.0-only
/*
 * mappings - map, protect, move and unmap at random, and print what is mapped
 *
 *	mappings THREADS ROUNDS
 *
 * With one thread /proc/self/maps is printed after every step, as lines between
 * "step N" and "end"; with more of them only before the first step and after the
 * last. A step is marked by a munmap() that fails with EINVAL, because its length
 * is 0: its address is the number of the step in pages. The number of calls that
 * each thread made is printed at the end.
 */
#include "lab.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096UL
#define SLOTS 6
#define MAX_THREADS 16

struct worker {
	pthread_t thread;
	unsigned int seed;
	int calls;
	struct {
		char *start;
		size_t size;
	} slot[SLOTS];
};

static struct worker workers[MAX_THREADS];
static struct maps maps;
static int rounds, shown;
static bool alone;
static pthread_barrier_t barrier;

static void check(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "mappings: cannot %s: %m\n", what);
	_exit(1);
}

/* Without malloc(), which would map memory itself */
static void show(void)
{
	char line[32];
	int length;

	munmap((void *)(shown * PAGE), 0);
	length = snprintf(line, sizeof(line), "step %d\n", shown++);
	check(maps_read(&maps), "read /proc/self/maps");
	check(write(1, line, length) == length, "write");
	check(write(1, maps.text, maps.length) == (ssize_t)maps.length, "write");
	check(write(1, "end\n", 4) == 4, "write");
}

static unsigned int any(struct worker *me, unsigned int below)
{
	return rand_r(&me->seed) % below;
}

static void step(struct worker *me)
{
	static const int prots[] = { PROT_READ, PROT_READ | PROT_WRITE, PROT_NONE };
	int i = any(me, SLOTS), pages;
	char *start = me->slot[i].start;

	me->calls++;
	if (!start) {
		pages = 1 + any(me, 9);
		start = mmap(NULL, pages * PAGE, prots[any(me, 3)],
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		check(start != MAP_FAILED, "mmap");
		me->slot[i].start = start;
		me->slot[i].size = pages * PAGE;
		return;
	}
	pages = me->slot[i].size / PAGE;
	switch (any(me, 4)) {
	case 0: /* protect a part */
		check(!mprotect(start + any(me, pages) * PAGE, PAGE, prots[any(me, 3)]),
		      "mprotect");
		break;
	case 1: /* make it writable again, and larger: it may move */
		check(!mprotect(start, pages * PAGE, PROT_READ), "mprotect");
		me->calls++;
		start = mremap(start, pages * PAGE, (pages + 3) * PAGE, MREMAP_MAYMOVE);
		if (start == MAP_FAILED && errno == EFAULT)
			break; /* still two areas: what was writable once is accounted for */
		check(start != MAP_FAILED, "mremap");
		me->slot[i].start = start;
		me->slot[i].size = (pages + 3) * PAGE;
		break;
	case 2: /* unmap the lower half */
		if (pages > 1) {
			check(!munmap(start, pages / 2 * PAGE), "munmap");
			me->slot[i].start = start + pages / 2 * PAGE;
			me->slot[i].size = (pages - pages / 2) * PAGE;
			break;
		}
		/* fall through */
	case 3:
		check(!munmap(start, pages * PAGE), "munmap");
		me->slot[i].start = NULL;
	}
}

static void *work(void *worker)
{
	struct worker *me = worker;
	int i;

	pthread_barrier_wait(&barrier);
	for (i = 0; i < rounds; i++) {
		step(me);
		if (alone)
			show();
	}
	pthread_barrier_wait(&barrier); /* no stack is unmapped before all are done */
	pthread_barrier_wait(&barrier);
	return NULL;
}

int main(int argc, char **argv)
{
	int i, count = argc > 2 ? atoi(argv[1]) : 1;

	rounds = argc > 2 ? atoi(argv[2]) : 40;
	check(count >= 1 && count <= MAX_THREADS, "run so many threads");
	alone = count == 1;
	pthread_barrier_init(&barrier, NULL, count + 1);
	for (i = 0; i < count; i++) {
		workers[i].seed = 7 * i + 1;
		check(!pthread_create(&workers[i].thread, NULL, work, &workers[i]),
		      "start a thread");
	}
	show();
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	show();
	pthread_barrier_wait(&barrier);
	for (i = 0; i < count; i++)
		pthread_join(workers[i].thread, NULL);
	for (i = 0; i < count; i++)
		printf("thread %d made %d calls\n", i, workers[i].calls);
	return 0;
}
