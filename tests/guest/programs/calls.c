// SPDX-License-Identifier: GPL-2.0-only
/*
 * calls - threads that make a known number of system calls
 *
 *	calls THREADS ROUNDS
 *
 * Each thread calls lseek(1000, ROUND, 0), which fails, with ROUND from 0 on, and
 * once gettid(). At the end prints the thread ids, one per line.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_THREADS 16
#define NO_FILE 1000

static pthread_barrier_t barrier;
static long rounds, tids[MAX_THREADS];

static void *calls(void *tid)
{
	long i;

	pthread_barrier_wait(&barrier);
	for (i = 0; i < rounds; i++)
		lseek(NO_FILE, i, SEEK_SET);
	*(long *)tid = syscall(SYS_gettid);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[MAX_THREADS];
	int i, count = argc > 2 ? atoi(argv[1]) : 1;

	if (count < 1 || count > MAX_THREADS)
		return 1;
	rounds = argc > 2 ? atol(argv[2]) : 10;
	pthread_barrier_init(&barrier, NULL, count);
	for (i = 0; i < count; i++)
		if (pthread_create(&threads[i], NULL, calls, &tids[i]))
			return 1;
	for (i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	for (i = 0; i < count; i++)
		printf("thread %ld\n", tids[i]);
	return 0;
}
