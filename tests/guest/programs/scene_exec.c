// SPDX-License-Identifier: GPL-2.0-only
/*
 * exec - two processes stopped in the middle of an exec
 *
 * "before exec" has called execve(), and waits until its other thread is gone, which
 * is traced and never goes. "exec" has a new memory, and is stopped by its tracer
 * before the first instruction of the new program.
 *
 * exec=loop - a process that does nothing but exec itself, for a breakpoint
 */
#include "scene.h"
#include <pthread.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

static int *other_thread; /* its thread id, in shared memory */

static void exec_self(const char *how)
{
	char path[64] = "";

	/* The link itself must not be executed, or the process would be called "exe" */
	scene_check(readlink("/proc/self/exe", path, sizeof(path) - 1) > 0,
		    "find the program");
	execl(path, path, how, NULL);
	scene_die("exec");
}

static void *sleep_on(void *unused)
{
	*other_thread = gettid();
	scene_sleep();
	return unused;
}

static void exec_with_thread(void)
{
	pthread_t id;

	scene_check(!pthread_create(&id, NULL, sleep_on, NULL), "start a thread");
	while (!*(volatile int *)other_thread)
		usleep(1000);
	raise(SIGSTOP);
	exec_self("done");
}

static void wait_for_stop(pid_t pid, int event)
{
	int status;

	scene_check(waitpid(pid, &status, __WALL) == pid, "wait for a stop");
	if (status >> 8 != (SIGTRAP | event << 8) && status >> 8 != SIGSTOP) {
		fprintf(stderr, "scene: stopped with %#x\n", status);
		exit(1);
	}
}

/* The other thread stops when it dies, and its tracer does not continue it: so it is never reaped */
static void trace_thread(void)
{
	pid_t pid;

	other_thread = (int *)scene_map(NULL, PAGE, PROT_READ | PROT_WRITE,
					MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid = scene_fork("before exec");
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		exec_with_thread();
	}
	wait_for_stop(pid, 0);
	scene_check(!ptrace(PTRACE_SEIZE, *other_thread, NULL, PTRACE_O_TRACEEXIT),
		    "trace a thread");
	scene_check(!ptrace(PTRACE_DETACH, pid, NULL, NULL), "leave a process");
	wait_for_stop(*other_thread, PTRACE_EVENT_EXIT);
}

static void trace_exec(void)
{
	pid_t pid = scene_fork("exec");

	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		exec_self("done");
	}
	wait_for_stop(pid, 0);
	scene_check(!ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACEEXEC), "set options");
	scene_check(!ptrace(PTRACE_CONT, pid, NULL, NULL), "continue a process");
	wait_for_stop(pid, PTRACE_EVENT_EXEC);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "loop"))
		exec_self("loop");
	if (argc > 1)
		scene_sleep();
	prctl(PR_SET_NAME, "exec's tracer");
	trace_thread();
	trace_exec();
	scene_ready();
	scene_sleep();
}
