// SPDX-License-Identifier: GPL-2.0-only
/*
 * fault_churn - threads touch memory while others make areas and remove them
 *
 *	fault_churn THREADS ROUNDS
 *
 * Prints
 *	thread TID FAULTS	min_flt and maj_flt of a thread before it ends
 */
#include "fault_together.h"

static unsigned long rounds;
static memory_t sink;

static void *work(void *argument)
{
	unsigned long me = (unsigned long)argument, i;

	begin(me);
	for (i = 0; i < rounds; i++) {
		memory_t *memory = map(3 * PAGE, RW, PRIVATE, -1);

		memory[2 * PAGE] = 1;
		must(!mprotect((void *)memory, PAGE, PROT_READ), "mprotect");
		sink = memory[PAGE];
		must(!munmap((void *)memory, 3 * PAGE), "munmap");
	}
	count(me);
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned long threads;

	must(argc == 3, "use");
	threads = strtoul(argv[1], NULL, 10);
	rounds = strtoul(argv[2], NULL, 10);
	start(threads, work);
	say_counted(threads);
	return 0;
}
