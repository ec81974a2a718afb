// SPDX-License-Identifier: GPL-2.0-only
/*
 * legacy - a program for which mmap() searches up from mmap_base, as it used to everywhere
 *
 * It executes itself with ADDR_COMPAT_LAYOUT, since execve() sets up the layout.
 */
#include "scene.h"
#include <sys/personality.h>

int main(int argc, char *argv[])
{
	if (argc < 2 || strcmp(argv[1], "again")) {
		scene_check(personality(ADDR_COMPAT_LAYOUT) >= 0, "ask for the layout");
		execl("/proc/self/exe", "legacy", "again", (char *)NULL);
		scene_die("start once more");
	}
	scene_map(NULL, 3 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	scene_map(NULL, 5 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	scene_ready();
	scene_sleep();
}
