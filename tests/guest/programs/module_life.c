// SPDX-License-Identifier: GPL-2.0-only
/*
 * module_life - load and unload giver and taker in all ways, also those that fail
 *
 * Carries giver, taker and other, which is giver for another kernel. Prints a line for each
 * call: load or unload, the module, and errno; and what the kernel tells of loaded ones.
 */
#include "carried.h"
#include <dirent.h>
#include <stdio.h>
#include <sys/klog.h>

static void told(const char *what, const char *name, int failed)
{
	printf("%s name=%s errno=%d\n", what, name, failed ? errno : 0);
	fflush(stdout);
}

/* The beginning of a module's file */
static int load_part(const char *name, unsigned long size)
{
	for (const struct carried *one = carried; one->name; one++) {
		if (!strcmp(one->name, name))
			return syscall(SYS_init_module, one->image, size, "");
	}
	return -1;
}

static void tell_sections(const char *name)
{
	char path[512], value[64];
	struct dirent *entry;
	FILE *file;
	DIR *folder;

	snprintf(path, sizeof(path), "/sys/module/%s/sections", name);
	folder = opendir(path);
	if (!folder)
		return;
	while ((entry = readdir(folder))) {
		snprintf(path, sizeof(path), "/sys/module/%s/sections/%s", name, entry->d_name);
		file = fopen(path, "r");
		if (file && fgets(value, sizeof(value), file))
			printf("section module=%s name=%s start=%.18s\n", name, entry->d_name,
			       value);
		if (file)
			fclose(file);
	}
	closedir(folder);
}

static void tell_modules(void)
{
	char name[64], users[256], state[32];
	unsigned long size, address;
	FILE *file = fopen("/proc/modules", "r");
	int references;

	while (file && fscanf(file, "%63s %lu %d %255s %31s %lx%*[^\n]", name, &size,
			      &references, users, state, &address) == 6)
		printf("module name=%s size=%lu references=%d users=%s state=%s address=%#lx\n",
		       name, size, references, users, state, address);
	if (file)
		fclose(file);
}

/* What the kernel and the modules have printed: most is not on the console */
static void tell_log(void)
{
	static char text[1 << 18];
	int size = klogctl(3, text, sizeof(text) - 1); /* SYSLOG_ACTION_READ_ALL */

	for (char *line = strtok(size > 0 ? text : NULL, "\n"); line; line = strtok(NULL, "\n")) {
		if (strstr(line, "giver: ") || strstr(line, "taker: "))
			printf("log %s\n", line);
	}
}

int main(void)
{
	told("load", "junk", load_part("giver", 100));
	told("load", "junk", load_part("giver", 3000));
	told("load", "taker", load("taker", ""));
	told("load", "giver", load("giver", "result=-19 label=refused"));
	told("load", "giver", load("giver", "numbers=1,x"));
	told("load", "giver", load("giver", "label=given numbers=5,6,7 nosuch=1"));
	told("load", "giver", load("giver", ""));
	told("load", "giver", load("other", ""));
	told("load", "taker", load("taker", ""));
	tell_sections("giver");
	tell_sections("taker");
	tell_modules();
	told("unload", "giver", unload("giver"));
	told("unload", "taker", unload("taker"));
	told("unload", "giver", unload("giver"));
	told("unload", "giver", unload("giver"));
	tell_log();
	usleep(200000); /* a kworker gives the init memory back */
	return 0;
}
