// SPDX-License-Identifier: GPL-2.0-only
/*
 * many=N - a process with N areas more than it needs, for 1 <= N <= 65000
 */
#include "scene.h"

int main(int argc, char **argv)
{
	unsigned long areas = argc > 1 ? strtoul(argv[1], NULL, 10) : 20000;
	char *memory = scene_map(NULL, areas * PAGE, PROT_NONE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (unsigned long i = 1; i < areas; i += 2) {
		if (mprotect(memory + i * PAGE, PAGE, PROT_READ | PROT_WRITE))
			scene_die("split an area");
		if (i % 100 == 1)
			memory[i * PAGE] = 1;
	}
	scene_ready();
	scene_sleep();
}
