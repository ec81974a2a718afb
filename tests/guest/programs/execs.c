// SPDX-License-Identifier: GPL-2.0-only
/*
 * execs - executes the programs that it holds, again and again
 *
 *	execs COUNT
 *
 * The first COUNT times with random addresses, the others a few times. Then each a few times
 * with a heap that is not random, and with nothing random. One of each stays, and is there
 * when this calls segment_info(). What a program prints follows a line with its mode.
 */
#include "files.h"
#include "lab.h"
#include <sys/personality.h>
#include <sys/wait.h>

#define FEW 4
#define SAID_FD 3 /* closed by a program that has said where it is */

static char *const programs[] = { "/t/dynamic-pie", "/t/static-pie", "/t/static" };
static char *const environment[] = { "SAME=always", NULL };

/* Execute a program, and return when it has said where it is */
static pid_t execute(char *path, unsigned long how, char *then)
{
	char *const arguments[] = { path, then, NULL };
	int said[2];
	pid_t pid;

	if (pipe(said))
		die("pipe");
	pid = fork();
	if (!pid) {
		if (dup2(said[1], SAID_FD) < 0)
			die("dup2");
		for (int fd = SAID_FD + 1; fd <= said[1]; fd++)
			close(fd);
		personality(how);
		execve(path, arguments, environment);
		die(path);
	}
	close(said[1]);
	if (pid < 0 || read(said[0], said, 1))
		die("fork");
	close(said[0]);
	return pid;
}

static void repeat(const char *mode, char *path, unsigned long how, int count)
{
	printf("mode %s\n", mode);
	fflush(stdout);
	/* Equally long words, so that the stack below them is the same */
	for (int i = 0; i < count; i++) {
		if (waitpid(execute(path, how, "gone"), NULL, 0) < 0)
			die("waitpid");
	}
	execute(path, how, "stay");
}

static void set_randomize_va_space(const char *value)
{
	FILE *file = fopen("/proc/sys/kernel/randomize_va_space", "w");

	if (!file || fputs(value, file) < 0 || fclose(file))
		die("randomize_va_space");
}

int main(int argc, char **argv)
{
	struct segment_info info;
	int count = argc > 1 ? atoi(argv[1]) : FEW;

	make_files();
	for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++) {
		repeat("random", programs[i], 0, i ? FEW : count);
		set_randomize_va_space("1");
		repeat("fixed heap", programs[i], 0, FEW);
		set_randomize_va_space("2");
		repeat("fixed", programs[i], ADDR_NO_RANDOMIZE, FEW);
	}
	return segment_info(&info) < 0;
}
