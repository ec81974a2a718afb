// SPDX-License-Identifier: GPL-2.0-only
/*
 * hello - write to the module it carries, from a page that is not present yet
 *
 * Prints the address of the module's function from /proc/kallsyms.
 */
#include "carried.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/klog.h>
#include <sys/mman.h>

static void say_where(const char *name, const char *module)
{
	char line[256], address[32], type, symbol[128], owner[64];
	FILE *all = fopen("/proc/kallsyms", "r");

	while (all && fgets(line, sizeof(line), all)) {
		if (sscanf(line, "%31s %c %127s [%63[^]]", address, &type, symbol, owner) == 4 &&
		    !strcmp(symbol, name) && !strcmp(owner, module))
			printf("symbol name=%s address=%s\n", name, address);
	}
	fflush(stdout);
}

int main(void)
{
	int all = MAP_PRIVATE | MAP_ANONYMOUS;
	const char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, all, -1, 0);
	int fd;

	if (load("hello", "")) {
		perror("hello: cannot load hello");
		return 1;
	}
	say_where("wr", "hello");
	klogctl(8, NULL, 8); /* a stack is printed to the console */
	fd = open("/proc/hello", O_WRONLY);
	return write(fd, page, 4096) == 4096 ? 0 : 1;
}
