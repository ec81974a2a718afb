// SPDX-License-Identifier: GPL-2.0-only
/*
 * interrupts - between two marks go through all contexts, and tell what came meanwhile
 *
 * A mark is a call of sched_get_priority_max(), at which gdb stops. Before the first and after
 * the second one it prints "before" or "after", a name of /proc/interrupts or /proc/softirqs,
 * and the counts of all CPUs. In between it loads lab_contexts.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A copy first: printing makes interrupts */
static void tell(const char *when, const char *path)
{
	static char text[1 << 16];
	int fd = open(path, O_RDONLY), size = 0, got;

	while ((got = read(fd, text + size, sizeof(text) - 1 - size)) > 0)
		size += got;
	close(fd);
	text[size] = 0;
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		char *colon = strchr(line, ':'), *at = colon + 1;

		if (!colon)
			continue;
		*colon = 0;
		printf("%s name=%s counts=", when, line + strspn(line, " "));
		for (char *end;; at = end) {
			unsigned long count = strtoul(at, &end, 10);

			if (end == at)
				break;
			printf("%lu,", count);
		}
		printf("\n");
	}
	fflush(stdout);
}

int main(void)
{
	int fd = open("/lib/modules/lab_contexts.ko", O_RDONLY);

	tell("before", "/proc/interrupts");
	tell("before", "/proc/softirqs");
	sched_get_priority_max(SCHED_OTHER);
	if (syscall(SYS_finit_module, fd, "", 0))
		perror("lab_contexts");
	sched_get_priority_max(SCHED_OTHER);
	tell("after", "/proc/interrupts");
	tell("after", "/proc/softirqs");
	return 0;
}
