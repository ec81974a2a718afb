// SPDX-License-Identifier: GPL-2.0-only
/*
 * family_storm - 8 threads start and wait for 20 children each, all at once
 *
 * Prints, when all is over, a line "thread TID" for each thread and a line
 * "child PID by TID STATUS" with the wait status of each child: some exit with a
 * number, some are killed, some kill themselves.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS		8
#define CHILDREN	20
#define STACK		(256 * 1024)

static struct {
	pid_t id;
	pid_t child[CHILDREN];
	int status[CHILDREN];
} family[THREADS];
static pthread_barrier_t barrier;

static void __attribute__((noreturn)) end(int thread, int child)
{
	switch (child % 4) {
	case 0:
		raise(SIGTERM);
		break;
	case 1:
		raise(SIGUSR1 + child % 3);
		break;
	case 2:
		pause(); /* killed by its parent */
		break;
	}
	_exit(thread * CHILDREN + child);
}

static void *have_children(void *argument)
{
	long me = (long)argument;

	family[me].id = gettid();
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < CHILDREN; i++) {
		pid_t child = fork();

		if (!child)
			end(me, i);
		if (child < 0)
			exit(1);
		if (i % 4 == 2)
			kill(child, SIGKILL);
		if (waitpid(child, &family[me].status[i], 0) != child)
			exit(1);
		family[me].child[i] = child;
	}
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS];
	pthread_attr_t small;

	/*
	 * The C library keeps 40 MiB of stacks for later. Of larger ones it would unmap
	 * some while other threads are in fork(): less areas than were copied.
	 */
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, STACK);
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (long i = 0; i < THREADS; i++) {
		if (pthread_create(&threads[i], &small, have_children, (void *)i))
			return 1;
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	printf("process %d\n", getpid());
	for (int i = 0; i < THREADS; i++) {
		printf("thread %d\n", family[i].id);
		for (int j = 0; j < CHILDREN; j++)
			printf("child %d by %d %d\n", family[i].child[j], family[i].id,
			       family[i].status[j]);
	}
	return 0;
}
