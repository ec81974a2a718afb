// SPDX-License-Identifier: GPL-2.0-only
/*
 * deaths_traced - the ends of traced threads, and of their processes
 *
 * The kernel tells a tracer about each thread that ends, but the parent only about processes.
 * Lines "NAME KEY=VALUE ..." for tests/debugger/test_trace_exit.py.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "deaths.h"

/* Shared with all children */
static struct {
	volatile int seized, may_end;
	volatile pid_t thread;
} *told;

static void until(volatile int *happens)
{
	while (!*happens)
		usleep(1000);
}

/* Prints its thread id, and ends when it may */
static void *ends_when_it_may(void *unused)
{
	say("thread id=%d process=%d\n", gettid(), getpid());
	told->thread = gettid();
	until(&told->may_end);
	syscall(SYS_exit, 0);
	return unused;
}

static void *executes(void *unused)
{
	say("thread id=%d process=%d\n", gettid(), getpid());
	execl("/proc/self/exe", "deaths_traced", "9", NULL);
	_exit(98);
	return unused;
}

static pthread_t start(void *(*what)(void *))
{
	pthread_t thread;

	must(!pthread_create(&thread, NULL, what, NULL), "pthread_create");
	return thread;
}

static void thread_first(void)
{
	pthread_t thread = start(ends_when_it_may);

	told->may_end = 1;
	must(!pthread_join(thread, NULL), "pthread_join");
	while (!syscall(SYS_tgkill, getpid(), told->thread, 0)) /* until it was waited for */
		usleep(1000);
	_exit(6);
}

static void leader_first(void)
{
	start(ends_when_it_may);
	syscall(SYS_exit, 5);
}

/* With another thread, which nobody waits for and which is in the way */
static void thread_executes(void)
{
	start(ends_when_it_may);
	start(executes);
	for (;;)
		pause();
}

/* Let a traced task continue with the signal that stopped it */
static void let_go_on(pid_t task, int status)
{
	int number = WSTOPSIG(status);

	if (status >> 16 || number == SIGTRAP)
		number = 0;
	/* ESRCH: it was killed in the meantime */
	must(!ptrace(PTRACE_CONT, task, 0, number) || errno == ESRCH, "PTRACE_CONT");
}

/* The tracer is the parent: it waits for all threads, and ends the last one */
static void by_its_parent(const char *name, void (*what)(void))
{
	int status, last = -1;
	pid_t child, task;

	memset(told, 0, sizeof(*told));
	child = fork();
	if (!child) {
		until(&told->seized);
		what();
		_exit(99);
	}
	must(child > 0 && !ptrace(PTRACE_SEIZE, child, 0, PTRACE_O_TRACECLONE),
	      "PTRACE_SEIZE");
	told->seized = 1;
	for (;;) {
		/* wait() does not return a first thread before the others are gone */
		if (what == leader_first && !told->may_end)
			told->may_end = told->thread && state_of(child) == 'Z';
		task = waitpid(-1, &status, __WALL | WNOHANG);
		if (task < 0)
			break;
		if (!task) {
			usleep(1000);
		} else if (WIFSTOPPED(status)) {
			let_go_on(task, status);
		} else {
			say("reaped task=%d process=%d status=%d\n", task, child, status);
			if (task == child)
				last = status;
		}
	}
	say("traced name=%s child=%d status=%d\n", name, child, last);
}

/* Another process traces the thread that ends last, and nobody the process */
static void by_another(const char *name, int ignored)
{
	pid_t child, tracer, thread;
	int status = -1;

	memset(told, 0, sizeof(*told));
	signal(SIGCHLD, ignored ? SIG_IGN : SIG_DFL);
	child = fork();
	if (!child) {
		start(ends_when_it_may);
		until(&told->seized);
		syscall(SYS_exit, 7);
	}
	until(&told->thread);
	thread = told->thread;
	tracer = fork();
	if (!tracer) {
		must(!ptrace(PTRACE_SEIZE, thread, 0, 0), "PTRACE_SEIZE");
		told->seized = 1;
		until_zombie(child);
		told->may_end = 1;
		must(waitpid(thread, &status, __WALL) == thread, "wait");
		say("reaped task=%d process=%d status=%d\n", thread, child, status);
		_exit(0);
	}
	if (ignored) {
		must(wait(NULL) == -1 && errno == ECHILD, "there was a zombie");
	} else {
		must(waitpid(child, &status, 0) == child, "wait");
		must(waitpid(tracer, NULL, 0) == tracer, "wait");
	}
	signal(SIGCHLD, SIG_DFL);
	say("last_traced name=%s child=%d status=%d thread=%d tracer=%d\n", name, child,
	    status, thread, tracer);
}

int main(int argc, char **argv)
{
	told = begin(argc, argv, sizeof(*told));
	say("self process=%d\n", getpid());
	by_its_parent("thread_first", thread_first);
	by_its_parent("leader_first", leader_first);
	by_its_parent("exec", thread_executes);
	by_another("waited", 0);
	by_another("ignored", 1);
	return 0;
}
