// SPDX-License-Identifier: GPL-2.0-only
/*
 * insmod - load the modules that this program carries, then become a program
 *
 *	insmod [PROGRAM [ARGUMENT]...]
 *
 * They are loaded in the order in which tests/support/guest_modules.py was given them. The
 * program is /bin/demo by default.
 */
#include "carried.h"
#include <stdio.h>

int main(int argc, char *argv[])
{
	char *demo[] = { "/bin/demo", NULL };
	char **command = argc > 1 ? argv + 1 : demo;

	for (const struct carried *one = carried; one->name; one++) {
		if (load(one->name, "")) {
			fprintf(stderr, "insmod: cannot load %s: %m\n", one->name);
			return 1;
		}
	}
	execv(command[0], command);
	fprintf(stderr, "insmod: cannot start %s: %m\n", command[0]);
	return 1;
}
