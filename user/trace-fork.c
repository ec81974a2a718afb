// SPDX-License-Identifier: GPL-2.0-only
/*
 * trace-fork - the ways in which a program makes processes and threads
 *
 * Watch it with
 *	make debug PROGRAM=build/user/trace-fork
 *	(gdb) source gdb/seginfo.py
 *	(gdb) lab trace fork
 *
 * fork() copies the page tables and not the pages: these are read-only to both
 * until either writes. vfork() copies nothing and makes the caller wait. A thread is
 * a task that shares nearly everything. clone() lets you choose, within limits.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE		4096UL
#define PAGES		16
#define CHILD_STATUS	7

static volatile int variable; /* which tasks see each other's writes to it? */

static void check(int holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "trace-fork: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void say(const char *what)
{
	check(write(STDOUT_FILENO, what, strlen(what)) > 0, "write");
}

static void wait_for(pid_t child)
{
	int status;

	check(child > 0 && waitpid(child, &status, 0) == child, "wait");
	check(WIFEXITED(status) && WEXITSTATUS(status) == CHILD_STATUS,
	      "the child ended in another way");
}

static char *map(size_t size)
{
	char *area = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	check(area != MAP_FAILED, "mmap");
	memset(area, 'p', size);
	return area;
}

/* Both have the pages, neither may write to them: the first write makes a copy */
static void fork_and_write(char *area)
{
	pid_t child;

	say("trace-fork: fork(), with 16 pages that were written to\n");
	variable = 1;
	child = fork();
	if (!child) {
		variable = 2;
		memset(area, 'c', PAGES * PAGE);
		_exit(CHILD_STATUS);
	}
	wait_for(child);
	check(variable == 1 && area[0] == 'p', "the child wrote in our memory");
}

/* What a child need not have, and what it must not see */
static void fork_without_an_area(char *area)
{
	pid_t child;

	say("trace-fork: fork(), without one area and with an empty one\n");
	check(!madvise(area, PAGE, MADV_DONTFORK), "MADV_DONTFORK");
	check(!madvise(area + 2 * PAGE, PAGE, MADV_WIPEONFORK), "MADV_WIPEONFORK");
	child = fork();
	if (!child)
		_exit(area[2 * PAGE] ? 1 : CHILD_STATUS);
	wait_for(child);
	check(area[2 * PAGE] == 'p', "our page was emptied");
}

/* In the caller's own memory, on its own stack, while it waits */
static void vfork_and_exit(void)
{
	pid_t child;

	say("trace-fork: vfork()\n");
	child = vfork();
	if (!child) {
		variable = 3;
		_exit(CHILD_STATUS);
	}
	wait_for(child);
	check(variable == 3, "the child wrote in memory of its own");
}

static void *in_thread(void *unused)
{
	variable = 4;
	return unused;
}

static void a_thread(void)
{
	pthread_t thread;

	say("trace-fork: pthread_create()\n");
	check(!pthread_create(&thread, NULL, in_thread, NULL), "pthread_create");
	check(!pthread_join(thread, NULL), "pthread_join");
	check(variable == 4, "the thread wrote in memory of its own");
}

static int in_shared_memory(void *unused)
{
	(void)unused;
	variable = 5;
	_exit(CHILD_STATUS);
}

/* Neither a thread nor a usual process: another process in the same memory */
static void clone_with_shared_memory(char *stack)
{
	say("trace-fork: clone() of a process in the same memory\n");
	wait_for(clone(in_shared_memory, stack + PAGES * PAGE, CLONE_VM | SIGCHLD, NULL));
	check(variable == 5, "the child wrote in memory of its own");
}

/* Threads share signal handlers, and those are useless without the memory */
static void refused(void)
{
	say("trace-fork: clone() with flags that make no sense\n");
	check(syscall(SYS_clone, CLONE_THREAD, 0, 0, 0, 0) == -1 && errno == EINVAL,
	      "clone() did not fail");
}

int main(void)
{
	char *area = map(PAGES * PAGE), *stack = map(PAGES * PAGE);

	fork_and_write(area);
	fork_without_an_area(area);
	vfork_and_exit();
	a_thread();
	clone_with_shared_memory(stack);
	refused();
	say("trace-fork: done\n");
	return 0;
}
