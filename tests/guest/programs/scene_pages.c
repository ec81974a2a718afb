// SPDX-License-Identifier: GPL-2.0-only
/*
 * pages=N - a process with N pages of its own, all of them there
 */
#include "scene.h"

int main(int argc, char **argv)
{
	unsigned long pages = argc > 1 ? strtoul(argv[1], NULL, 10) : 20000;
	char *memory = scene_map(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (unsigned long i = 0; i < pages; i++)
		memory[i * PAGE] = 1;
	scene_ready();
	scene_sleep();
}
