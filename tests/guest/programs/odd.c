// SPDX-License-Identifier: GPL-2.0-only
/*
 * odd - system calls whose arguments are easily decoded wrongly
 */
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void nothing(int number)
{
	(void)number;
}

/* The lowest byte of the flags is the signal for the parent */
static int child(unsigned long flags)
{
	long pid = syscall(SYS_clone, flags, NULL, NULL, NULL, NULL);

	if (!pid)
		_exit(0);
	return pid;
}

int main(void)
{
	siginfo_t told;

	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, nothing);
	syscall(SYS_wait4, -1, NULL, (long)(int)(WNOHANG | __WCLONE), NULL);
	if (write(STDOUT_FILENO, "\0\1\2\n", 4) != 4 ||
	    write(STDOUT_FILENO, "abc\0def\n", 8) != 8)
		return 1;
	syscall(SYS_dup2, 0, -1);
	syscall(SYS_unshare, CLONE_NEWTIME | CLONE_FS);
	waitid(P_PID, child(SIGCHLD), &told, WEXITED | WSTOPPED);
	child(CLONE_VFORK | SIGUSR1);
	child(1UL << 32 | CLONE_VFORK | SIGUSR1); /* clone() has 32-bit flags */
	syscall(335); /* no kernel has it */
	mkdir("/tmp/\"quoted\"", 0750);
	mkdir((const char *)8, 0750); /* in no area */
	raise(SIGUSR2); /* the handler ends with rt_sigreturn() */
	return 0;
}
