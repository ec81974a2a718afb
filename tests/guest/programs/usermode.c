// SPDX-License-Identifier: GPL-2.0-only
/*
 * usermode - threads whose registers and callers in user mode are known
 *
 * "spinning" runs in user mode all the time, three calls deep, with a number in each
 * callee-saved register. "in handler" does the same until a signal comes, and then
 * sleeps in its handler. When both have got there, main() calls segment_info(), then
 * forks, then asks for the time for a while.
 */
#include "lab.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static volatile bool spins, handles;

static void check(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "usermode: cannot %s: %m\n", what);
	exit(1);
}

static void pin(int cpu, const char *name)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	check(!sched_setaffinity(0, sizeof(set), &set), "choose a processor");
	prctl(PR_SET_NAME, name);
}

/* Never returns, but is not declared so, since the caller's frame must stay */
static __attribute__((noinline)) int spin(volatile bool *there)
{
	*there = true;
	asm volatile("movabs $0x1111222233334444, %%rbx\n\t"
		     "movabs $0x5555666677778888, %%r12\n\t"
		     "mov $0x1234, %%r15\n"
		     "1: pause\n\t"
		     "jmp 1b"
		     : : : "rbx", "r12", "r15", "memory");
	return 1;
}

static __attribute__((noinline)) int calls_spin(volatile bool *there)
{
	char room[100];

	snprintf(room, sizeof(room), "%p", there);
	return spin(there) + room[0];
}

static void *spinning(void *unused)
{
	(void)unused;
	pin(1, "spinning");
	return (void *)(long)calls_spin(&spins);
}

static __attribute__((noinline)) void rests(void)
{
	handles = true;
	for (;;)
		pause();
}

static void handler(int signal)
{
	(void)signal;
	rests();
}

static void *in_handler(void *there)
{
	pin(0, "in handler");
	signal(SIGUSR1, handler);
	return (void *)(long)calls_spin(there);
}

int main(void)
{
	static volatile bool waits;
	struct segment_info info;
	struct timespec time;
	pthread_t first, second;

	check(!pthread_create(&first, NULL, in_handler, (void *)&waits), "start a thread");
	while (!waits)
		sched_yield();
	pthread_kill(first, SIGUSR1);
	while (!handles)
		sched_yield();
	pin(0, "usermode");
	check(!pthread_create(&second, NULL, spinning, NULL), "start a thread");
	while (!spins)
		sched_yield();
	if (segment_info(&info) < 0) {
		complain_no_call("usermode");
		return 1;
	}
	/* A new task, a process that has none of its pages mapped yet */
	if (!fork())
		_exit(0);
	/* The vdso makes a system call for this. Repeated, so that gdb can still stop in it */
	for (int i = 0; i < 10000; i++)
		check(!clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time), "read the clock");
	return 0;
}
