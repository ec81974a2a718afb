// SPDX-License-Identifier: GPL-2.0-only
/*
 * crowd=N - N processes of the same program
 */
#include "scene.h"

int main(int argc, char **argv)
{
	unsigned long members = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000;

	for (unsigned long i = 1; i < members; i++) {
		if (!scene_fork("crowd"))
			scene_sleep();
	}
	scene_ready();
	scene_sleep();
}
