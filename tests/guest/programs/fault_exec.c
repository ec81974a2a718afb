// SPDX-License-Identifier: GPL-2.0-only
/*
 * fault_exec - a thread executes a program, and has the first thread's id from then on
 *
 * The first thread has touched many pages by then. Prints
 *	other TID	the thread that executes
 *	after FAULTS	min_flt and maj_flt of that thread, which are not reset
 */
#include "fault_say.h"
#include <pthread.h>

#define PAGES 200

static void *execute(void *argument)
{
	(void)argument;
	say("other %ld\n", syscall(SYS_gettid));
	execl("/proc/self/exe", "again", "again", NULL);
	must(0, "exec");
	return NULL;
}

int main(int argc, char **argv)
{
	long minor, major;
	memory_t *memory;
	pthread_t thread;

	(void)argv;
	if (argc > 1) {
		counters(&minor, &major);
		say("after %ld\n", minor + major);
		return 0;
	}
	memory = map(PAGES * PAGE, RW, PRIVATE, -1);
	for (int i = 0; i < PAGES; i++)
		memory[i * PAGE] = 1;
	must(!pthread_create(&thread, NULL, execute, NULL), "thread");
	pause();
	return 1;
}
