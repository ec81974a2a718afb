// SPDX-License-Identifier: GPL-2.0-only
/*
 * hostile_calls - segment_info() under each hostile name, and events for timelines
 *
 *	hostile_calls STATUS
 *
 * Maps and unmaps files with these names, executes a program by them, prints them on the
 * console, and exits with STATUS.
 */
#include "hostile.h"
#include "lab.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096

static struct segment_info info;

static void execute(const char *name)
{
	char *argv[] = { (char *)name, (char *)name, NULL };
	char *envp[] = { (char *)name, NULL };
	pid_t pid = fork();

	if (!pid) {
		execve(name, argv, envp);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
}

int main(int argc, char **argv)
{
	if (!strstr(argv[0], "program"))
		return 0; /* executed by another name */
	mkdir("/tmp", 0755);
	if (chdir("/tmp"))
		return 1;
	for (size_t i = 0; i < HOSTILE_NAMES; i++) {
		const char *name = hostile_names[i];
		int fd = open(name, O_RDWR | O_CREAT, 0755);
		char *page;

		if (fd < 0 || ftruncate(fd, PAGE))
			return 1;
		page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
		prctl(PR_SET_NAME, name);
		if (page == MAP_FAILED || *page || segment_info(&info) < 0)
			return 1;
		munmap(page, PAGE);
		close(fd);
		unlink(name);
		if (!symlink("/lab/program", name))
			execute(name);
	}
	prctl(PR_SET_NAME, hostile_names[0]);
	segment_info((void *)8); /* EFAULT */
	for (size_t i = 0; i < HOSTILE_NAMES; i++)
		printf("%s\n", hostile_names[i]);
	printf("lab: %s exited with %s", hostile_names[3], hostile_names[1]);
	fflush(stdout);
	return argc > 1 ? atoi(argv[1]) : 0;
}
