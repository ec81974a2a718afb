// SPDX-License-Identifier: GPL-2.0-only
/*
 * interrupted - kill processes that wait in segment_info() for their mmap_lock
 *
 *	interrupted [ROUNDS]
 *
 * In each round a child has two threads: one forks, which holds the lock for writing while
 * all page tables are copied, the other calls. A SIGKILL ends both, and a call that is waiting
 * then returns EINTR, which no program lives to see, but a debugger does.
 */
#include "lab.h"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGES_SIZE (24UL << 20)

static void *fork_on(void *unused)
{
	for (;;) {
		pid_t child = fork();

		if (!child)
			_exit(0);
		waitpid(child, NULL, 0);
	}
	return unused;
}

static void call_on(int ready)
{
	struct segment_info info;
	pthread_t thread;
	char *memory = mmap(NULL, PAGES_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		_exit(1);
	madvise(memory, PAGES_SIZE, MADV_NOHUGEPAGE);
	memset(memory, 1, PAGES_SIZE);
	if (pthread_create(&thread, NULL, fork_on, NULL) || write(ready, "", 1) != 1)
		_exit(1);
	for (;;)
		segment_info(&info);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 10;

	for (int round = 0; round < rounds; round++) {
		int ready[2], status;
		char byte;
		pid_t child;

		if (pipe(ready))
			return 1;
		child = fork();
		if (!child)
			call_on(ready[1]);
		close(ready[1]);
		if (child < 0 || read(ready[0], &byte, 1) != 1)
			return 1;
		usleep(20000 + round * 1700);
		kill(child, SIGKILL);
		if (waitpid(child, &status, 0) != child || !WIFSIGNALED(status))
			return 1;
		close(ready[0]);
	}
	printf("interrupted: %d rounds\n", rounds);
	return 0;
}
