// SPDX-License-Identifier: GPL-2.0-only
/*
 * placed - says where exec has put it
 *
 *	placed stay	and then waits
 *	placed gone	or ends
 *
 * Descriptor 3 is closed when that is said.
 *
 * All addresses are from the kernel: /proc/self/stat, /proc/self/maps, and the auxiliary
 * vector; and from the linker, which knows where the ELF header is. top is the end of the
 * highest area of those that mmap() has placed, which is mmap_base.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

extern const char __ehdr_start[];

#define START_STACK 28 /* fields of /proc/PID/stat, see proc(5) */
#define START_BRK 47
#define ARG_START 48

static unsigned long stat_field(int number)
{
	static char line[4096];
	char *at;

	if (!line[0]) {
		FILE *file = fopen("/proc/self/stat", "r");

		if (!file || !fgets(line, sizeof(line), file))
			exit(1);
		fclose(file);
	}
	at = strrchr(line, ')');
	for (int field = 2; field < number; field++)
		at = strchr(at + 1, ' ');
	return strtoul(at, NULL, 10);
}

int main(int argc, char **argv)
{
	unsigned long start, end, stack = 0, top = 0;
	char line[512];
	FILE *maps;

	/* Is at the top, unless exec has mapped something there already */
	if (argc < 2 || mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
		return 1;
	maps = fopen("/proc/self/maps", "r");
	while (maps && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx", &start, &end) != 2)
			return 1;
		if (strstr(line, "[stack]"))
			stack = end;
		else if (!stack) /* a heap behind a program at the top is not mmap()'s */
			top = strstr(line, "[heap]") ? stat_field(START_BRK) : end;
	}
	printf("placed %s: pid=%d stack=%#lx pointer=%#lx arguments=%#lx top=%#lx "
	       "program=%#lx interpreter=%#lx heap=%#lx vdso=%#lx\n",
	       argv[0], getpid(), stack, stat_field(START_STACK), stat_field(ARG_START), top,
	       (unsigned long)__ehdr_start, getauxval(AT_BASE), stat_field(START_BRK),
	       getauxval(AT_SYSINFO_EHDR));
	fflush(stdout);
	close(3);
	if (!strcmp(argv[1], "stay"))
		pause();
	return 0;
}
