// SPDX-License-Identifier: GPL-2.0-only
/*
 * fault_pages - touch new pages, in two parts of PAGES each
 *
 *	fault_pages PAGES
 *
 * It calls sched_get_priority_max(), which nothing else calls, before the first
 * part, between the two and after the second, for a debugger to stop there.
 */
#include "fault_say.h"
#include <sched.h>

int main(int argc, char **argv)
{
	unsigned long pages = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
	memory_t *memory = map(2 * pages * PAGE, RW, PRIVATE, -1);

	for (unsigned long i = 0; i < 2 * pages; i++) {
		if (i % pages == 0)
			sched_get_priority_max(SCHED_OTHER);
		memory[i * PAGE] = 1;
	}
	sched_get_priority_max(SCHED_OTHER);
	return 0;
}
