// SPDX-License-Identifier: GPL-2.0-only
/*
 * deaths - end threads and processes in many ways, and print what each should be
 *
 * Lines "NAME KEY=VALUE ..." for tests/debugger/test_trace_exit.py.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "deaths.h"

static void *sleep_on(void *unused)
{
	for (;;)
		pause();
	return unused;
}

static pthread_barrier_t barrier;

/* Prints its thread id, and then does nothing */
static void *named(void *unused)
{
	say("thread id=%d process=%d\n", gettid(), getpid());
	pthread_barrier_wait(&barrier);
	return sleep_on(unused);
}

static void with_threads(int count)
{
	pthread_t thread;

	pthread_barrier_init(&barrier, NULL, count + 1);
	while (count--)
		must(!pthread_create(&thread, NULL, named, NULL), "pthread_create");
	pthread_barrier_wait(&barrier);
}

static void ends(const char *name, void (*what)(void))
{
	pid_t child = fork();
	siginfo_t info;
	int status;
	char state;

	if (!child) {
		what();
		_exit(99);
	}
	must(child > 0 && !waitid(P_PID, child, &info, WEXITED | WNOWAIT), "waitid");
	state = state_of(child);
	must(waitpid(child, &status, 0) == child, "wait");
	say("ended name=%s child=%d status=%d state=%c si_code=%d si_status=%d\n", name,
	    child, status, state, info.si_code, info.si_status);
}

static void by_exit(void)
{
	_exit(0x1003); /* its parent gets the lowest byte */
}

static void by_exit_of_a_thread(void)
{
	syscall(SYS_exit, 4);
}

static void by_exit_group(void)
{
	with_threads(4);
	_exit(5);
}

static void by_kill(void)
{
	with_threads(3);
	kill(getpid(), SIGKILL);
	sleep_on(NULL);
}

static void by_term(void)
{
	raise(SIGTERM);
}

static void by_alarm(void)
{
	ualarm(1000, 0);
	sleep_on(NULL);
}

static void by_fault(void)
{
	static volatile char *volatile nowhere;

	with_threads(2);
	*nowhere = 0;
}

/* Nobody may read its memory: there is no core dump, and another function kills the threads */
static void by_fault_of_a_secret(void)
{
	must(!prctl(PR_SET_DUMPABLE, 0), "PR_SET_DUMPABLE");
	by_fault();
}

/* Ends after the first thread, which is a zombie by then */
static void *last(void *unused)
{
	until_zombie(getpid());
	syscall(SYS_exit, 0);
	return unused;
}

static void leader_first(void)
{
	pthread_t thread;

	must(!pthread_create(&thread, NULL, last, NULL), "pthread_create");
	syscall(SYS_exit, 6);
}

static void *executes(void *unused)
{
	execl("/proc/self/exe", "deaths", "9", NULL);
	_exit(98);
	return unused;
}

/* A thread executes a program, and becomes the process */
static void by_exec_of_a_thread(void)
{
	pthread_t thread;

	with_threads(2);
	must(!pthread_create(&thread, NULL, executes, NULL), "pthread_create");
	sleep_on(NULL);
}

/* The child of vfork() ends first, in memory that is not its own */
static void by_exec_after_vfork(void)
{
	pid_t child = vfork();

	if (!child)
		_exit(12);
	must(waitpid(child, NULL, 0) == child, "wait");
	say("vforked child=%d\n", child);
	execl("/proc/self/exe", "deaths", "11", NULL);
}

/* Shared with all children */
static struct {
	volatile int traced, executes;
	volatile pid_t orphan, parent, before;
	volatile pid_t zombie;
} *told;

static void dies_before_its_child(void)
{
	told->parent = 0;
	told->before = getpid();
	if (fork())
		_exit(7);
	while (getppid() == told->before)
		usleep(1000);
	told->orphan = getpid();
	told->parent = getppid();
	_exit(8);
}

static void dies_before_its_zombie(void)
{
	pid_t child = fork();
	siginfo_t info;

	if (!child)
		_exit(10);
	told->zombie = child;
	must(!waitid(P_PID, told->zombie, &info, WEXITED | WNOWAIT), "waitid");
}

static void orphan(const char *name)
{
	ends(name, dies_before_its_child);
	while (!told->parent)
		usleep(1000);
	say("orphan name=%s child=%d before=%d after=%d\n", name, told->orphan,
	    told->before, told->parent);
}

/* There is no zombie: wait() finds none and says so */
static void nobody_asks(const char *name, void (*what)(void))
{
	pid_t child = fork();

	if (!child) {
		what();
		_exit(99);
	}
	must(wait(NULL) == -1 && errno == ECHILD, "there was a zombie");
	say("unasked name=%s child=%d\n", name, child);
}

static void without_zombies(void)
{
	struct sigaction action = { .sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT };

	signal(SIGCHLD, SIG_IGN);
	nobody_asks("ignored", by_exit);
	nobody_asks("leader_first", leader_first);
	sigaction(SIGCHLD, &action, NULL);
	nobody_asks("nocldwait", by_exit);
	signal(SIGCHLD, SIG_DFL);
}

/* The number of a first thread may soon belong to another process */
static void leaders_again(void)
{
	signal(SIGCHLD, SIG_IGN);
	for (int i = 0; i < 6; i++) {
		nobody_asks("again", leader_first);
		usleep(50 * 1000);
	}
	signal(SIGCHLD, SIG_DFL);
}

/* A zombie whose tracer, which is not its parent, ends; and who traces it until then */
static void traced(void)
{
	pid_t child = fork(), tracer;

	if (!child) {
		while (!told->traced)
			usleep(1000);
		_exit(13);
	}
	tracer = fork();
	if (!tracer) {
		must(!ptrace(PTRACE_SEIZE, child, 0, 0), "PTRACE_SEIZE");
		told->traced = 1;
		until_zombie(child);
		_exit(14);
	}
	must(waitpid(tracer, NULL, 0) == tracer, "wait");
	must(waitpid(child, NULL, 0) == child, "wait");
	say("traced child=%d tracer=%d\n", child, tracer);
}

/* A tracer delivers a fatal signal after an execve() that has failed */
static void killed_behind_exec(void)
{
	pid_t child = fork(), tracer;
	int status;

	if (!child) {
		with_threads(1);
		told->executes = 1;
		for (;;)
			execl("/nowhere", "nowhere", NULL);
	}
	tracer = fork();
	if (!tracer) {
		while (!told->executes)
			usleep(1000);
		must(!ptrace(PTRACE_SEIZE, child, 0, 0), "PTRACE_SEIZE");
		must(!ptrace(PTRACE_INTERRUPT, child, 0, 0), "PTRACE_INTERRUPT");
		must(waitpid(child, NULL, __WALL) == child, "wait");
		must(!ptrace(PTRACE_SYSCALL, child, 0, 0), "PTRACE_SYSCALL");
		must(waitpid(child, NULL, __WALL) == child, "wait");
		/* It is stopped at the entry or exit of execve() */
		must(!syscall(SYS_tgkill, child, child, SIGTERM), "tgkill");
		must(!ptrace(PTRACE_CONT, child, 0, 0), "PTRACE_CONT");
		must(waitpid(child, &status, __WALL) == child, "wait");
		must(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTERM, "no stop");
		must(!ptrace(PTRACE_CONT, child, 0, SIGTERM), "PTRACE_CONT");
		must(waitpid(child, &status, __WALL) == child, "wait");
		_exit(15);
	}
	must(waitpid(tracer, &status, 0) == tracer && WEXITSTATUS(status) == 15,
	      "tracer");
	must(waitpid(child, NULL, 0) == child, "wait");
	say("behind_exec child=%d\n", child);
}

int main(int argc, char **argv)
{
	int status;

	told = begin(argc, argv, sizeof(*told));
	say("self process=%d\n", getpid());
	ends("exit", by_exit);
	ends("exit_of_a_thread", by_exit_of_a_thread);
	ends("exit_group", by_exit_group);
	ends("kill", by_kill);
	ends("term", by_term);
	ends("alarm", by_alarm);
	ends("fault", by_fault);
	ends("secret", by_fault_of_a_secret);
	ends("leader_first", leader_first);
	ends("exec", by_exec_of_a_thread);
	ends("vfork", by_exec_after_vfork);
	orphan("init");
	must(!prctl(PR_SET_CHILD_SUBREAPER, 1), "PR_SET_CHILD_SUBREAPER");
	orphan("subreaper");
	must(waitpid(told->orphan, &status, 0) == told->orphan, "wait");
	ends("zombie", dies_before_its_zombie);
	must(waitpid(told->zombie, &status, 0) == told->zombie, "wait");
	say("inherited child=%d status=%d\n", told->zombie, status);
	without_zombies();
	traced();
	killed_behind_exec();
	leaders_again();
	return 0;
}
