// SPDX-License-Identifier: GPL-2.0-only
/*
 * names - files and processes whose names are hard to print
 */
#include "scene.h"
#include <sys/stat.h>

static void use(const char *path)
{
	scene_map(NULL, PAGE, PROT_READ, MAP_SHARED, scene_file(path, 1), 0);
}

/* Make a path longer than PATH_MAX, which no system call takes as a whole */
static void deep(void)
{
	char name[201];

	memset(name, 'd', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (int i = 0; i < 25; i++)
		scene_check(!mkdir(name, 0755) && !chdir(name), "go deeper");
	use("file");
}

int main(void)
{
	static const char *const comms[] = {
		"a b", "a) S 1 (b", "line\nbreak", "back\\slash",
		"exactly 15 byte", "", "caf\303\251", "\377\376",
	};
	char longest[256];

	scene_check(!mkdir("/tmp/names", 0755) && !chdir("/tmp/names"), "make a folder");
	use("two words");
	use("two\nlines");
	use(" leading and trailing ");
	use("back\\slash");
	use("tab\there");
	use("looks deleted (deleted)");
	use("[heap]");
	use("caf\303\251");
	use("not utf-8 \377\376");
	memset(longest, 'n', 255);
	longest[255] = '\0';
	use(longest);
	deep();
	for (size_t i = 0; i < sizeof(comms) / sizeof(comms[0]); i++) {
		if (!scene_fork(comms[i]))
			scene_sleep();
	}
	prctl(PR_SET_NAME, "names");
	scene_ready();
	scene_sleep();
}
