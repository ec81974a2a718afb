// SPDX-License-Identifier: GPL-2.0-only
/*
 * open_files - open and close a file, in two parts of COUNT times each
 *
 *	open_files COUNT
 *
 * It calls sched_get_priority_max() before, between and after, as fault_pages does.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	unsigned long count = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;

	for (unsigned long i = 0; i < 2 * count; i++) {
		if (i % count == 0)
			sched_get_priority_max(SCHED_OTHER);
		close(open("/proc/version", O_RDONLY));
	}
	sched_get_priority_max(SCHED_OTHER);
	return 0;
}
