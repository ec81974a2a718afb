// SPDX-License-Identifier: GPL-2.0-only
/*
 * modules - two tasks asleep in code of modules that this program carries
 *
 * "reader" sleeps in a function of hello, "loader" in napper's init function.
 */
#include "scene.h"
#include "carried.h"

int main(void)
{
	char byte;
	int fd;

	scene_check(!load("hello", ""), "load hello");
	fd = open("/proc/hello", O_RDWR);
	scene_check(fd >= 0, "open /proc/hello");
	if (!scene_fork("reader")) {
		if (read(fd, &byte, 1) < 0)
			scene_die("read /proc/hello");
		return 0;
	}
	if (!scene_fork("loader")) {
		load("napper", "nap=1");
		scene_die("load napper so slowly");
	}
	scene_ready();
	scene_sleep();
}
