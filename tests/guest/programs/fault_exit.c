// SPDX-License-Identifier: GPL-2.0-only
/*
 * fault_exit - a process ends while its threads touch new memory
 *
 *	fault_exit THREADS PAGES
 *
 * The first thread to touch PAGES pages ends all of them: exit_group() kills the
 * others wherever they are, most of them in a page fault.
 */
#include "fault_together.h"

static unsigned long pages;

static void *work(void *argument)
{
	memory_t *memory = map(pages * PAGE, RW, PRIVATE, -1);

	begin((unsigned long)argument);
	for (unsigned long i = 0; i < pages; i++)
		memory[i * PAGE] = 1;
	_exit(0);
}

int main(int argc, char **argv)
{
	must(argc == 3, "use");
	pages = strtoul(argv[2], NULL, 10);
	start(strtoul(argv[1], NULL, 10), work);
	pthread_join(all[0], NULL);
	return 1;
}
