// SPDX-License-Identifier: GPL-2.0-only
/*
 * fault_exit - a process ends while its threads touch new memory
 *
 *	fault_exit THREADS PAGES
 *
 * The first thread to touch PAGES pages ends all of them: exit_group() kills the
 * others wherever they are, most of them in a page fault.
 */
#include "fault_say.h"
#include <pthread.h>

#define MOST 16

static unsigned long pages;
static pthread_barrier_t barrier;

static void *work(void *argument)
{
	memory_t *memory = map(pages * PAGE, RW, PRIVATE, -1);

	(void)argument;
	pthread_barrier_wait(&barrier);
	for (unsigned long i = 0; i < pages; i++)
		memory[i * PAGE] = 1;
	_exit(0);
}

int main(int argc, char **argv)
{
	unsigned long threads, i;
	pthread_t all[MOST];

	must(argc == 3, "use");
	threads = strtoul(argv[1], NULL, 10);
	pages = strtoul(argv[2], NULL, 10);
	must(threads <= MOST, "so many threads");
	pthread_barrier_init(&barrier, NULL, threads);
	for (i = 0; i < threads; i++)
		must(!pthread_create(&all[i], NULL, work, NULL), "thread");
	pthread_join(all[0], NULL);
	return 1;
}
