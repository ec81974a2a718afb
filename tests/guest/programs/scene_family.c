// SPDX-License-Identifier: GPL-2.0-only
/*
 * family - processes in every state that can last, each named after its state
 */
#include "scene.h"
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static int told[2]; /* a pipe: one byte for each child that has reached its state */
static int children;

static void tell(void)
{
	scene_check(write(told[1], "", 1) == 1, "tell the parent");
}

static void __attribute__((noreturn)) rest(void)
{
	tell();
	scene_sleep();
}

/* Run what() in a child called name */
static void child(const char *name, void (*what)(void))
{
	children++;
	if (!scene_fork(name)) {
		what();
		rest();
	}
}

static void with_zombie(void)
{
	siginfo_t info;
	pid_t pid = scene_fork("zombie");

	if (!pid)
		_exit(3);
	scene_check(!waitid(P_PID, pid, &info, WEXITED | WNOWAIT), "wait for the zombie");
	pid = scene_fork("killed zombie");
	if (!pid) {
		raise(SIGKILL);
		_exit(0);
	}
	scene_check(!waitid(P_PID, pid, &info, WEXITED | WNOWAIT), "wait for the zombie");
}

static void with_stopped(void)
{
	siginfo_t info;
	pid_t pid = scene_fork("stopped");

	if (!pid) {
		raise(SIGSTOP);
		scene_sleep();
	}
	scene_check(!waitid(P_PID, pid, &info, WSTOPPED | WNOWAIT), "wait for the stop");
}

static void with_traced(void)
{
	siginfo_t info;
	pid_t pid = scene_fork("traced");

	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGUSR1);
		scene_sleep();
	}
	scene_check(!waitid(P_PID, pid, &info, WSTOPPED | WNOWAIT), "wait for the stop");
}

/* The parent of a vfork() waits until its child, which shares its memory, execs or ends */
static void with_vfork(void)
{
	pid_t pid = vfork();

	if (!pid) {
		prctl(PR_SET_NAME, "vfork child");
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		rest();
	}
}

static void *sleep_on(void *unused)
{
	prctl(PR_SET_NAME, "leaderless thr");
	rest();
	return unused;
}

/* The first thread has ended: the process looks like a zombie but is not */
static void without_leader(void)
{
	pthread_t id;

	scene_check(!pthread_create(&id, NULL, sleep_on, NULL), "start a thread");
	syscall(SYS_exit, 0);
}

static void in_session(void)
{
	scene_check(setsid() > 0, "start a session");
	if (!scene_fork("in its group"))
		scene_sleep();
	if (!scene_fork("other group")) {
		scene_check(!setpgid(0, 0), "start a process group");
		scene_sleep();
	}
}

static void as_user(void)
{
	gid_t groups[] = { 7, 1001, 70000 };

	scene_check(!setgroups(3, groups) && !setresgid(2001, 2002, 2003) &&
		    !setresuid(1001, 1002, 1003), "become a user");
}

static void nice_one(void)
{
	scene_check(!setpriority(PRIO_PROCESS, 0, 7), "be nice");
}

static void not_nice(void)
{
	scene_check(!setpriority(PRIO_PROCESS, 0, -13), "be not nice");
}

static void policy(int kind, int priority)
{
	struct sched_param param = { .sched_priority = priority };

	scene_check(!sched_setscheduler(0, kind, &param), "set the policy");
}

static void fifo(void)
{
	policy(SCHED_FIFO, 42);
}

static void round_robin(void)
{
	policy(SCHED_RR, 1);
}

static void batch(void)
{
	policy(SCHED_BATCH, 0);
}

static void idle(void)
{
	policy(SCHED_IDLE, 0);
}

static void pinned(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	scene_check(!sched_setaffinity(0, sizeof(set), &set), "choose a processor");
}

static void handler(int signal)
{
	(void)signal;
}

static void with_signals(void)
{
	static char stack[16 * PAGE];
	stack_t other = { .ss_sp = stack, .ss_size = sizeof(stack) };
	sigset_t blocked;

	sigaltstack(&other, NULL);
	signal(SIGUSR2, handler);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGRTMIN + 1);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1);
	kill(getpid(), SIGTERM);
	for (int i = 0; i < 3; i++)
		sigqueue(getpid(), SIGRTMIN + 1, (union sigval){ .sival_int = i });
}

static int in_shared_memory(void *unused)
{
	(void)unused;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "shares memory");
	scene_sleep();
}

/* Another process, not a thread, in the same memory */
static void with_shared_memory(void)
{
	static char stack[16 * PAGE];

	scene_check(clone(in_shared_memory, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL) > 0,
		    "start a process");
}

int main(void)
{
	char byte;

	scene_check(!pipe(told), "make a pipe");
	child("zombie's parent", with_zombie);
	child("stopped's parent", with_stopped);
	child("tracer", with_traced);
	child("vfork parent", with_vfork);
	child("leaderless", without_leader);
	child("session leader", in_session);
	child("a user", as_user);
	child("nice", nice_one);
	child("not nice", not_nice);
	child("fifo", fifo);
	child("round robin", round_robin);
	child("batch", batch);
	child("idle", idle);
	child("pinned", pinned);
	child("with signals", with_signals);
	child("its parent", with_shared_memory);
	for (int i = 0; i < children; i++)
		scene_check(read(told[0], &byte, 1) == 1, "wait for a child");
	scene_ready();
	scene_sleep();
}
