// SPDX-License-Identifier: GPL-2.0-only
/*
 * oracle - load the module of this name, which asks the kernel, then make the call
 *
 * The module is given the address of idle_task(), which the kernel does not export.
 */
#include "carried.h"
#include "lab.h"
#include <stdio.h>

int main(void)
{
	FILE *symbols = fopen("/proc/kallsyms", "r");
	static struct segment_info info;
	char parameters[64] = "", name[128], line[512];
	unsigned long address;

	while (symbols && fgets(line, sizeof(line), symbols)) {
		if (sscanf(line, "%lx %*c %127s", &address, name) == 2 &&
		    !strcmp(name, "idle_task"))
			snprintf(parameters, sizeof(parameters), "idle_task=%lu",
				 address);
	}
	if (!*parameters || load("oracle", parameters)) {
		perror("oracle");
		return 1;
	}
	return segment_info(&info) < 0;
}
