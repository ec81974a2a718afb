// SPDX-License-Identifier: GPL-2.0-only
/*
 * deaths_shared - the ends of processes that share their memory with others
 *
 * Lines "NAME KEY=VALUE ..." for tests/debugger/test_trace_exit.py: whose memory it is, which
 * others were in it, and who was the last.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "deaths.h"

#define STACK	(64 * 1024)

/* Shared with all children, even those with a memory of their own */
static struct {
	volatile pid_t guest, second;
	volatile int may_end;
} *told;

/* Once somebody has waited for it, its number is free again */
static void until_gone(pid_t process)
{
	while (!kill(process, 0))
		usleep(1000);
	must(errno == ESRCH, "kill");
}

/* Without the C library's exit(), since its memory is used by others */
static int ends_at_once(void *unused)
{
	syscall(SYS_exit_group, unused ? 1 : 0);
	return 0;
}

static int ends_when_it_may(void *unused)
{
	while (!told->may_end)
		usleep(1000);
	return ends_at_once(unused);
}

/* Start a process in the caller's memory */
static pid_t in_this_memory(int (*what)(void *), int flags)
{
	char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t guest;

	must(stack != MAP_FAILED, "mmap");
	guest = clone(what, stack + STACK, CLONE_VM | SIGCHLD | flags, NULL);
	must(guest > 0, "clone");
	return guest;
}

static int has_a_guest(void *unused)
{
	told->second = in_this_memory(ends_when_it_may, 0);
	return ends_at_once(unused);
}

static void with_a_sibling(void)
{
	told->guest = in_this_memory(ends_at_once, CLONE_PARENT);
	until_gone(told->guest);
}

static void with_an_orphan(void)
{
	told->guest = in_this_memory(has_a_guest, 0);
	must(waitpid(told->guest, NULL, 0) == told->guest, "wait");
	told->may_end = 1;
	until_gone(told->second);
}

static void ends_first(void)
{
	told->guest = in_this_memory(ends_when_it_may, 0);
}

static void leaves_it(void)
{
	told->guest = in_this_memory(ends_when_it_may, 0);
	execl("/proc/self/exe", "deaths_shared", "0", NULL);
}

static void account(const char *name, void (*what)(void))
{
	pid_t owner, child;

	memset(told, 0, sizeof(*told));
	owner = fork();
	if (!owner) {
		what();
		_exit(0);
	}
	while ((child = wait(NULL)) > 0)
		if (child == owner) /* those that outlive it may end now */
			told->may_end = 1;
	must(errno == ECHILD, "wait");
	say("shared name=%s owner=%d guest=%d second=%d\n", name, owner, told->guest,
	    told->second);
}

int main(int argc, char **argv)
{
	told = begin(argc, argv, sizeof(*told));
	must(!prctl(PR_SET_CHILD_SUBREAPER, 1), "PR_SET_CHILD_SUBREAPER");
	account("sibling", with_a_sibling);
	account("orphan", with_an_orphan);
	account("outlived", ends_first);
	account("left", leaves_it);
	return 0;
}
