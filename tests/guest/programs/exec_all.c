// SPDX-License-Identifier: GPL-2.0-only
/*
 * exec_all - executes files in all ways, and prints how each went
 *
 *	exec_all		one case after the other
 *	exec_all text		only those of a file that is no program
 *	exec_all THREADS COUNT	THREADS threads, each forks and executes COUNT times
 *
 * The files are in this program (files.h), and are written to their places before the
 * first exec. A child whose exec is refused exits
 * with the error.
 */
#include "files.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LONG_STRING (128 * 1024 + 1) /* MAX_ARG_STRLEN plus one */
#define MANY_STRINGS 300
#define RACERS 5
#define KERNEL_TEXT ((const char *)0xffffffff81000000) /* _text */

static char *const environment[] = { "FIRST=1", "SECOND=two words", NULL };

static void make_text(const char *path, const char *text, mode_t mode)
{
	write_file(path, text, strlen(text), mode);
}

static void finish(const char *name, pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		die(name);
	printf("case %s pid %d status %d\n", name, pid, status);
	fflush(stdout);
}

typedef void (*preparation)(void);

/* A child executes path, with path and two more as its arguments */
static void run(const char *name, const char *path, preparation prepare)
{
	char *const arguments[] = { (char *)name, "two words", "", NULL };
	pid_t pid = fork();

	if (!pid) {
		if (prepare)
			prepare();
		execve(path, arguments, environment);
		_exit(errno);
	}
	finish(name, pid);
}

static void fixed_addresses(void)
{
	personality(ADDR_NO_RANDOMIZE);
}

static void old_layout(void)
{
	personality(ADDR_COMPAT_LAYOUT);
}

/* Tell the test that this one is in a pid namespace of its own */
static void be_nested(void)
{
	prctl(PR_SET_NAME, "nested");
}

static void open_for_writing(void)
{
	if (open("/t/static", O_WRONLY) < 0)
		_exit(errno);
}

/* Many strings, or a single one that is too long */
static void run_with(const char *name, const char *path, char **arguments)
{
	pid_t pid = fork();

	if (!pid) {
		execve(path, arguments, environment);
		_exit(errno);
	}
	finish(name, pid);
}

static void run_many_strings(void)
{
	static char strings[MANY_STRINGS][100];
	static char *arguments[MANY_STRINGS + 1];

	for (int i = 0; i < MANY_STRINGS; i++) {
		memset(strings[i], 'a' + i % 26, sizeof(strings[i]) - 1);
		arguments[i] = strings[i];
	}
	run_with("many-strings", "/t/static", arguments);
}

static void run_long_string(void)
{
	static char string[LONG_STRING + 1];
	static char *arguments[] = { "too-long", string, NULL };

	memset(string, 'x', LONG_STRING);
	run_with("too-long", "/t/text", arguments);
}

static void run_no_arguments(void)
{
	static char *arguments[] = { NULL };

	run_with("no-arguments", "/t/static", arguments);
}

static void run_bad_pointer(void)
{
	static char *arguments[] = { "bad-pointer", (char *)8, NULL };

	run_with("bad-pointer", "/t/text", arguments);
}

static void run_by_descriptor(void)
{
	char *const arguments[] = { "by-descriptor", NULL };
	pid_t pid = fork();

	if (!pid) {
		int fd = open("/t/static", O_RDONLY);

		execveat(fd, "", arguments, environment, AT_EMPTY_PATH);
		_exit(errno);
	}
	finish("by-descriptor", pid);
}

/* The parent waits, and keeps the memory that both shared */
static void run_vfork(void)
{
	char *const arguments[] = { "vfork", NULL };
	pid_t pid = vfork();

	if (!pid) {
		execve("/t/static", arguments, environment);
		_exit(errno);
	}
	finish("vfork", pid);
}

static void *wait_for_ever(void *unused)
{
	while (1)
		pause();
	return unused;
}

static void *execute(void *unused)
{
	char *const arguments[] = { "thread", NULL };

	execve("/t/static", arguments, environment);
	_exit(errno);
	return unused;
}

static void run_thread(void)
{
	pid_t pid = fork();

	if (!pid) {
		pthread_t id;

		for (int i = 0; i < 3; i++) {
			if (pthread_create(&id, NULL, wait_for_ever, NULL))
				_exit(errno);
		}
		if (pthread_create(&id, NULL, execute, NULL))
			_exit(errno);
		wait_for_ever(NULL);
	}
	finish("thread", pid);
}

static void *execute_when_alone(void *leader)
{
	char *const arguments[] = { "orphaned-thread", NULL };

	pthread_join(*(pthread_t *)leader, NULL);
	execve("/t/static", arguments, environment);
	_exit(errno);
	return NULL;
}

/* The first thread has ended when the second one executes: nobody is killed */
static void run_orphaned_thread(void)
{
	pid_t pid = fork();

	if (!pid) {
		pthread_t self = pthread_self(), id;

		if (pthread_create(&id, NULL, execute_when_alone, &self))
			_exit(errno);
		pthread_exit(NULL);
	}
	finish("orphaned-thread", pid);
}

static pthread_barrier_t barrier;

static void *execute_together(void *unused)
{
	char *const arguments[] = { "race", "quiet", NULL };

	pthread_barrier_wait(&barrier);
	execve("/t/static", arguments, environment);
	_exit(errno);
	return unused;
}

/* Several threads execute at once: one becomes the process and kills the others */
static void run_race(void)
{
	pid_t pid = fork();

	if (!pid) {
		pthread_t id;

		pthread_barrier_init(&barrier, NULL, RACERS);
		for (int i = 1; i < RACERS; i++) {
			if (pthread_create(&id, NULL, execute_together, NULL))
				_exit(errno);
		}
		execute_together(NULL);
	}
	finish("race", pid);
}

/* The cases of a file that is no program, which also come among all */
static void text_cases(void)
{
	make_text("/t/text", "just text\n", 0755);
	run("text", "/t/text", NULL);
	run_long_string();
	run_bad_pointer();
}

static int all_cases(void)
{
	static char endless_name[400]; /* longer than bprm->buf */
	static char long_path[5000];

	make_text("/t/script", "#! /t/static -x  y \nrest\n", 0755);
	make_text("/t/script-of-script", "#!/t/script\n", 0755);
	make_text("/t/endless", "#!/t/endless\n", 0755);
	make_text("/t/orphan", "#!/no/interpreter\n", 0755);
	make_text("/t/nameless", "#! \t\nnobody\n", 0755);
	memset(endless_name, 'n', sizeof(endless_name) - 1);
	memcpy(endless_name, "#!/", 3);
	make_text("/t/cut", endless_name, 0755);
	make_text("/t/empty", "", 0755);
	make_text("/t/forbidden", "#!/bin/sh\n", 0644);
	if (symlink("/t/static", "/t/incapable"))
		die("/t/incapable");
	memset(long_path, 'p', sizeof(long_path) - 1);

	run("static", "/t/static", NULL);
	run("static-pie", "/t/static-pie", NULL);
	run("aligned-pie", "/t/aligned-pie", NULL);
	run("interpreted", "/t/interpreted", NULL);
	run("dynamic", "/t/dynamic", NULL);
	run("executable-stack", "/t/executable-stack", NULL);
	run("script", "/t/script", NULL);
	run("script-of-script", "/t/script-of-script", NULL);
	run("fixed", "/t/static-pie", fixed_addresses);
	run("old-layout", "/t/static", old_layout);
	run_many_strings();
	run_no_arguments();
	run_by_descriptor();
	run_vfork();
	run_thread();
	run_orphaned_thread();
	run_race();
	run("nested", "/t/static", be_nested);
	run("small-class", "/t/small-class", NULL);

	run("missing", "/no/such/file", NULL);
	run("folder", "/t", NULL);
	run("forbidden", "/t/forbidden", NULL);
	text_cases();
	run("nameless", "/t/nameless", NULL);
	run("cut", "/t/cut", NULL);
	run("empty", "/t/empty", NULL);
	run("busy", "/t/static", open_for_writing);
	run("orphan", "/t/orphan", NULL);
	run("no-linker", "/t/no-linker", NULL);
	run("endless", "/t/endless", NULL);
	run("long-path", long_path, NULL);
	run("no-path", (const char *)16, NULL);
	run("kernel-path", KERNEL_TEXT, NULL);
	run("other-machine", "/t/other-machine", NULL);
	run("object", "/t/object", NULL);
	run("small-headers", "/t/small-headers", NULL);
	run("no-headers", "/t/no-headers", NULL);
	run("incapable", "/t/incapable", NULL);
	run("torn", "/t/torn", NULL);
	return 0;
}

static int count;

static void *fork_and_execute(void *argument)
{
	for (int i = 0; i < count; i++) {
		char which[32];
		char *const arguments[] = { which, "quiet", NULL };
		int status;
		pid_t pid;

		snprintf(which, sizeof(which), "%ld-%d", (long)argument, i);
		pid = fork();
		if (!pid) {
			execve("/t/static", arguments, environment);
			_exit(errno);
		}
		if (waitpid(pid, &status, 0) != pid || status >> 8 != 42)
			die("a child");
		printf("made %s pid %d\n", which, pid);
		fflush(stdout);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[64];
	long number;

	make_files();
	if (argc < 2)
		return all_cases();
	if (argc < 3) {
		text_cases();
		return 0;
	}
	number = atoi(argv[1]);
	count = atoi(argv[2]);
	for (long i = 0; i < number; i++) {
		if (pthread_create(&threads[i], NULL, fork_and_execute, (void *)i))
			die("a thread");
	}
	for (long i = 0; i < number; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
