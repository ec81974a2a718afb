// SPDX-License-Identifier: GPL-2.0-only
/*
 * timed - load the modules that this program carries, start a timer and call segment_info()
 *
 * It gives the kernel a module and a timer to list.
 */
#include "carried.h"
#include "lab.h"
#include <stdio.h>

int main(void)
{
	static struct segment_info info;

	for (const struct carried *one = carried; one->name; one++) {
		if (load(one->name, "")) {
			fprintf(stderr, "timed: cannot load %s: %m\n", one->name);
			return 1;
		}
	}
	alarm(1000);
	return segment_info(&info) != getpid();
}
