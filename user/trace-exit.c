// SPDX-License-Identifier: GPL-2.0-only
/*
 * trace-exit - the ways in which threads and processes end
 *
 * Watch it with
 *	make debug PROGRAM=build/user/trace-exit
 *	(gdb) source gdb/seginfo.py
 *	(gdb) lab trace exit
 *
 * A process that has ended is a zombie until its parent waits for it: watch which
 * tasks become zombies, who is notified, and who releases them. The system call
 * exit() ends one thread, exit_group() all of them. An orphan gets a new parent.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define STATUS	3

static void check(int holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "trace-exit: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void say(const char *what)
{
	check(write(STDOUT_FILENO, what, strlen(what)) > 0, "write");
}

static void start(pthread_t *thread, void *(*what)(void *))
{
	check(!pthread_create(thread, NULL, what, NULL), "pthread_create");
}

static void *sleep_on(void *unused)
{
	for (;;)
		pause();
	return unused;
}

/* Start a child that does what, and see how it ended */
static int status_of(void (*what)(void))
{
	pid_t child = fork();
	int status;

	if (!child) {
		what();
		_exit(STATUS);
	}
	check(child > 0 && waitpid(child, &status, 0) == child, "wait");
	return status;
}

static void nothing(void)
{
}

/* The C library's _exit() calls exit_group(), even with a single thread */
static void with_a_status(void)
{
	int status;

	say("trace-exit: a process exits with status 3\n");
	status = status_of(nothing);
	check(WIFEXITED(status) && WEXITSTATUS(status) == STATUS, "status");
}

static void two_sleepers(void)
{
	pthread_t thread;

	start(&thread, sleep_on);
	start(&thread, sleep_on);
}

/* exit_group() kills the other threads */
static void with_threads(void)
{
	int status;

	say("trace-exit: exit_group() in a process with three threads\n");
	status = status_of(two_sleepers);
	check(WIFEXITED(status) && WEXITSTATUS(status) == STATUS, "status");
}

static void *end_later(void *unused)
{
	usleep(50 * 1000);
	return unused;
}

/* The first thread calls exit() and no more: the process lives as long as the other */
static void first_thread_exits(void)
{
	pthread_t thread;

	start(&thread, end_later);
	syscall(SYS_exit, STATUS);
}

static void thread_by_thread(void)
{
	int status;

	say("trace-exit: the first thread exits before the other one\n");
	status = status_of(first_thread_exits);
	check(WIFEXITED(status), "status");
}

static void kill_me(void)
{
	two_sleepers();
	kill(getpid(), SIGKILL);
	sleep_on(NULL);
}

static void by_signal(void)
{
	int status;

	say("trace-exit: SIGKILL for a process with three threads\n");
	status = status_of(kill_me);
	check(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "status");
}

static void touch_nothing(void)
{
	static volatile char *volatile nowhere;

	*nowhere = 0;
}

static void by_fault(void)
{
	int status;

	say("trace-exit: a process touches memory it has not\n");
	status = status_of(touch_nothing);
	check(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "status");
}

/* The child of a child, which is orphaned; who is its parent then? */
static pid_t parent_of_orphan(void)
{
	int pipes[2];
	pid_t child, parent;

	check(!pipe(pipes), "pipe");
	child = fork();
	if (!child) {
		pid_t before = getpid();

		if (fork())
			_exit(STATUS);
		while (getppid() == before)
			usleep(1000);
		parent = getppid();
		check(write(pipes[1], &parent, sizeof(parent)) > 0, "write");
		_exit(0);
	}
	check(waitpid(child, NULL, 0) == child, "wait");
	check(read(pipes[0], &parent, sizeof(parent)) == sizeof(parent), "read");
	close(pipes[0]);
	close(pipes[1]);
	return parent;
}

static void orphans(void)
{
	say("trace-exit: a parent ends before its child\n");
	check(parent_of_orphan() == 1, "the orphan's parent is not init");

	say("trace-exit: and again, where an ancestor wants the orphans\n");
	check(!prctl(PR_SET_CHILD_SUBREAPER, 1), "PR_SET_CHILD_SUBREAPER");
	check(parent_of_orphan() == getpid(), "the orphan's parent is another one");
	check(wait(NULL) > 0, "wait for the orphan");
}

/* No zombie: wait() sleeps until all have ended, and finds none */
static void nobody_asks(void)
{
	say("trace-exit: a parent that does not want to know\n");
	signal(SIGCHLD, SIG_IGN);
	if (!fork())
		_exit(STATUS);
	check(wait(NULL) == -1 && errno == ECHILD, "there was a zombie");
	signal(SIGCHLD, SIG_DFL);
}

int main(void)
{
	with_a_status();
	with_threads();
	thread_by_thread();
	by_signal();
	by_fault();
	orphans();
	nobody_asks();
	say("trace-exit: done\n");
	return 0;
}
