// SPDX-License-Identifier: GPL-2.0-only
/*
 * fault_churn - threads touch memory while others make areas and remove them
 *
 *	fault_churn THREADS ROUNDS
 *
 * Says
 *	thread TID FAULTS	min_flt and maj_flt of a thread before it ends
 */
#include "fault_say.h"
#include <pthread.h>

#define MOST 16

static unsigned long rounds;
static memory_t sink;
static pthread_barrier_t barrier;
static long tids[MOST], counted[MOST];

static void *work(void *argument)
{
	unsigned long me = (unsigned long)argument, i;
	long minor, major;

	tids[me] = syscall(SYS_gettid);
	pthread_barrier_wait(&barrier);
	for (i = 0; i < rounds; i++) {
		memory_t *memory = map(3 * PAGE, RW, PRIVATE, -1);

		memory[2 * PAGE] = 1;
		must(!mprotect((void *)memory, PAGE, PROT_READ), "mprotect");
		sink = memory[PAGE];
		must(!munmap((void *)memory, 3 * PAGE), "munmap");
	}
	counters(&minor, &major);
	counted[me] = minor + major;
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned long threads, i;
	pthread_t all[MOST];

	must(argc == 3, "use");
	threads = strtoul(argv[1], NULL, 10);
	rounds = strtoul(argv[2], NULL, 10);
	must(threads <= MOST, "so many threads");
	pthread_barrier_init(&barrier, NULL, threads);
	for (i = 0; i < threads; i++)
		must(!pthread_create(&all[i], NULL, work, (void *)i), "thread");
	for (i = 0; i < threads; i++)
		must(!pthread_join(all[i], NULL), "join");
	for (i = 0; i < threads; i++)
		say("thread %ld %ld\n", tids[i], counted[i]);
	return 0;
}
