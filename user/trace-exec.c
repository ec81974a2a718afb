// SPDX-License-Identifier: GPL-2.0-only
/*
 * trace-exec - execute programs in every way there is, and fail to
 *
 * Made to be watched:
 *
 *	make debug PROGRAM=build/user/trace-exec
 *	(gdb) source gdb/seginfo.py
 *	(gdb) lab trace exec
 *
 * Watch for these: the new stack, which is made at the top of user space, filled
 * there and then moved down to a random place; begin_new_exec(), which gives up the
 * old memory, the point of no return; elf_map(), once for each
 * PT_LOAD that `readelf -l build/user/trace-exec` shows; and in the last step a
 * thread that takes over the id of its process.
 *
 * Each step forks a child, for an exec that succeeds does not return. What is
 * executed is this program again, as "trace-exec child"; then it only prints its
 * arguments.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SCRIPT "/tmp/trace-exec.sh"
#define NO_FORMAT "/tmp/trace-exec.txt"
#define CHILD "child"
#define SUCCESS 42 /* exit status of the executed program */

static char self[256]; /* the path of this program */
static bool failed;

/* Wait for the child of a step and say whether it ended as it should */
static void wait_for(pid_t pid, const char *step, int wanted)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		perror("trace-exec: no child");
		exit(1);
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == wanted) {
		printf("trace-exec: %s: as it should be\n", step);
	} else {
		printf("trace-exec: %s: WRONG, wait status %#x\n", step, status);
		failed = true;
	}
	fflush(stdout);
}

/* Execute something; returns only if that is refused */
static void execute(const char *path)
{
	char *const arguments[] = { "trace-exec", CHILD, "an argument", NULL };
	char *const environment[] = { "STEP=exec", "LANG=C", NULL };

	execve(path, arguments, environment);
}

/* The plain case: another program in the same process */
static void a_program(void)
{
	pid_t pid = fork();

	if (!pid) {
		execute(self);
		_exit(errno);
	}
	wait_for(pid, "a program", SUCCESS);
}

/* The kernel executes what stands behind #!, with the script as an argument */
static void a_script(void)
{
	pid_t pid = fork();

	if (!pid) {
		execute(SCRIPT);
		_exit(errno);
	}
	wait_for(pid, "a script", SUCCESS);
}

/* Refused while the old program is still there: it goes on with an error */
static void refused(const char *what, const char *path, int error)
{
	pid_t pid = fork();

	if (!pid) {
		execute(path);
		_exit(errno);
	}
	wait_for(pid, what, error);
}

static void *execute_in_thread(void *unused)
{
	execute(self);
	_exit(errno);
	return unused;
}

/* All other threads are killed, and the thread becomes the process */
static void from_a_thread(void)
{
	pid_t pid = fork();

	if (!pid) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, execute_in_thread, NULL))
			_exit(errno);
		pthread_join(thread, NULL); /* does not return */
		_exit(1);
	}
	wait_for(pid, "from a thread", SUCCESS);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
		perror(path);
		exit(1);
	}
	close(fd);
}

/* This is the program that was executed */
static int child(int argc, char **argv)
{
	printf("trace-exec: %d was executed with %d arguments:", getpid(), argc);
	for (int i = 0; i < argc; i++)
		printf(" \"%s\"", argv[i]);
	printf("\n");
	return strcmp(argv[argc - 1], "an argument") ? 1 : SUCCESS;
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], CHILD))
		return child(argc, argv);

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0) {
		perror("trace-exec: /proc/self/exe");
		return 1;
	}
	write_file(SCRIPT, "#!/bin/sh\nexit 42\n");
	write_file(NO_FORMAT, "neither a program nor a script\n");

	a_program();
	a_script();
	refused("no such file", "/no/such/file", ENOENT);
	refused("a folder", "/tmp", EACCES);
	refused("no known format", NO_FORMAT, ENOEXEC);
	from_a_thread();

	unlink(SCRIPT);
	unlink(NO_FORMAT);
	return failed;
}
