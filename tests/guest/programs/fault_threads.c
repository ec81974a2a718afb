// SPDX-License-Identifier: GPL-2.0-only
/*
 * fault_threads - threads touch pages at the same time, their own and shared ones
 *
 *	fault_threads THREADS PAGES
 *
 * Prints
 *	own|common|file|split START PAGES	memory that is touched, every page of it
 *	thread TID FAULTS	min_flt and maj_flt of a thread before it ends
 *
 * Every page of common is written, and every page of file read, by every thread, in
 * the same order; of split each thread has every THREADS-th page. If there are two
 * threads, a processor for each, they wait for one another before every page.
 */
#include "fault_together.h"
#include <fcntl.h>

static unsigned long threads, pages;
static memory_t *own[MOST], *common, *file, *split;

/* For two running threads, without a system call that would put one to sleep */
static void meet(unsigned long round)
{
	static _Atomic unsigned long arrived;

	if (threads != 2)
		return;
	arrived++;
	while (arrived < 2 * (round + 1))
		;
}

static void *work(void *argument)
{
	unsigned long me = (unsigned long)argument, i;
	volatile long sum = 0;

	begin(me);
	for (i = 0; i < pages; i++) {
		meet(2 * i);
		common[i * PAGE] = 1;
		meet(2 * i + 1);
		sum += file[i * PAGE];
		if (i % threads == me)
			split[i * PAGE] = 1;
		own[me][i * PAGE] = 1;
	}
	count(me);
	return NULL;
}

static memory_t *map_and_say(const char *what, int prot, int flags, int fd)
{
	memory_t *memory = map(pages * PAGE, prot, flags, fd);

	say("%s %#lx %lu\n", what, (unsigned long)memory, pages);
	return memory;
}

int main(int argc, char **argv)
{
	int fd = open("/tmp/fault_threads.txt", O_RDWR | O_CREAT, 0600);
	unsigned long i;

	must(argc == 3 && fd >= 0, "use");
	threads = strtoul(argv[1], NULL, 10);
	pages = strtoul(argv[2], NULL, 10);
	must(threads <= MOST, "so many threads");
	for (i = 0; i < pages; i++)
		must(pwrite(fd, "f", 1, i * PAGE) == 1, "pwrite");
	common = map_and_say("common", RW, PRIVATE, -1);
	file = map_and_say("file", PROT_READ, MAP_PRIVATE, fd);
	split = map_and_say("split", RW, PRIVATE, -1);
	for (i = 0; i < threads; i++)
		own[i] = map_and_say("own", RW, PRIVATE, -1);
	start(threads, work);
	say_counted(threads);
	return 0;
}
