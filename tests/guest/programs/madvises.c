// SPDX-License-Identifier: GPL-2.0-only
/*
 * madvises - one thread maps and unmaps, another one splits and merges areas
 *
 * The second uses madvise(), which `lab trace mmap` does not follow, until the first
 * has mapped 64 pages 60 times.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#define PAGE 4096UL
#define ROUNDS 60

static char *area;
static atomic_bool ready, done;

static void *advise(void *unused)
{
	(void)unused;
	do {
		madvise(area + 4 * PAGE, PAGE, MADV_DONTFORK);
		ready = 1;
		madvise(area + 4 * PAGE, PAGE, MADV_DOFORK);
	} while (!done);
	return NULL;
}

int main(void)
{
	pthread_t thread;
	char *mapped;
	int i;

	area = mmap(NULL, 16 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (area == MAP_FAILED || pthread_create(&thread, NULL, advise, NULL))
		return 1;
	while (!ready)
		;
	for (i = 0; i < ROUNDS; i++) {
		mapped = mmap(NULL, 64 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (mapped == MAP_FAILED || munmap(mapped, 64 * PAGE))
			return 1;
	}
	done = 1;
	pthread_join(thread, NULL);
	return 0;
}
