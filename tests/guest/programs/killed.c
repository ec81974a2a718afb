// SPDX-License-Identifier: GPL-2.0-only
/*
 * killed - a child that is killed while it waits inside segment_info()
 *
 * For a test of the debugger, which makes the child's mmap_lock look taken: the
 * child waits for it (state D), until this parent kills it. Then the parent
 * makes a call that succeeds.
 */
#include "segment_info.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SEGMENT_INFO_NR 451

static struct segment_info info;

/* The letter after "(name)" in /proc/PID/stat */
static char state_of(pid_t pid)
{
	char path[32], text[256], *at;
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return '?';
	got = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[got > 0 ? got : 0] = '\0';
	at = strrchr(text, ')');
	return at ? at[2] : '?';
}

int main(void)
{
	pid_t child = fork();
	int status, waits = 0;

	if (child < 0) {
		perror("killed: cannot fork");
		return 1;
	}
	if (!child) {
		syscall(SEGMENT_INFO_NR, &info);
		return 0;
	}
	while (waits < 5) {
		waits = state_of(child) == 'D' ? waits + 1 : 0;
		usleep(10000);
	}
	kill(child, SIGKILL);
	if (waitpid(child, &status, 0) != child || !WIFSIGNALED(status)) {
		fprintf(stderr, "killed: the child ended by itself\n");
		return 1;
	}
	return syscall(SEGMENT_INFO_NR, &info) != getpid();
}
