// SPDX-License-Identifier: GPL-2.0-only
/*
 * wrongs - load the module wrong with each argument as its parameters
 *
 *	wrongs crime=NAME...
 */
#include "carried.h"
#include <stdio.h>

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		printf("wrongs: %s\n", argv[i]);
		fflush(stdout);
		if (load("wrong", argv[i]) || unload("wrong")) {
			fprintf(stderr, "wrongs: cannot do it: %m\n");
			return 1;
		}
	}
	return 0;
}
