// SPDX-License-Identifier: GPL-2.0-only
/*
 * fork_churn - a thread forks while others make areas and remove them
 *
 * Prints "forked COUNT". For tests/debugger/test_trace_fork.py: what fork() copies must be read
 * while nobody can change it.
 */
#include "fault_say.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

#define FORKS 20
#define THREADS 2

static atomic_int started, done;

static void *churn(void *unused)
{
	started++;
	while (!done) {
		memory_t *memory = map(3 * PAGE, RW, PRIVATE, -1);

		memory[PAGE] = 1;
		must(!mprotect((void *)(memory + PAGE), PAGE, PROT_READ), "mprotect");
		must(!munmap((void *)memory, 3 * PAGE), "munmap");
	}
	return unused;
}

int main(void)
{
	pthread_t thread;

	for (int i = 0; i < THREADS; i++)
		must(!pthread_create(&thread, NULL, churn, NULL), "thread");
	while (started < THREADS)
		;
	for (int i = 0; i < FORKS; i++) {
		pid_t child = syscall(SYS_fork);

		if (!child)
			_exit(0);
		must(child > 0 && waitpid(child, NULL, 0) == child, "fork");
	}
	done = 1;
	say("forked %d\n", FORKS);
	return 0;
}
