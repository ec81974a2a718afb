// SPDX-License-Identifier: GPL-2.0-only
/*
 * stacks - processes with unusual stacks, and processes with threads that have ended
 *
 * "waits" waits in vfork() until its child, which sleeps, has ended. Of "leaderless"
 * the first thread has ended and two live, "heir" with the files that it had open and
 * "apart" with files of its own. Of "halved" the first thread lives and the other,
 * "gone", is a zombie, because the scene traces it.
 */
#include "scene.h"
#include <pthread.h>
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static int ready[2], ids[2], go[2];

/* Report that another thread or process is in place */
static void say(void)
{
	scene_check(write(ready[1], "", 1) == 1, "tell the scene");
}

static __attribute__((noinline)) int beget(int depth)
{
	pid_t pid = vfork();

	if (!pid) {
		prctl(PR_SET_NAME, "begotten");
		say();
		scene_sleep();
	}
	return pid + depth;
}

static void *heir(void *leader)
{
	prctl(PR_SET_NAME, "heir");
	pthread_join(*(pthread_t *)leader, NULL);
	say();
	scene_sleep();
}

static void *apart(void *nothing)
{
	(void)nothing;
	scene_check(!unshare(CLONE_FILES), "have files of its own");
	close(0);
	prctl(PR_SET_NAME, "apart");
	say();
	scene_sleep();
}

static __attribute__((noreturn)) void leaderless(void)
{
	static pthread_t first, second, leader;

	leader = pthread_self();
	scene_check(!pthread_create(&first, NULL, heir, &leader), "start a thread");
	scene_check(!pthread_create(&second, NULL, apart, NULL), "start a thread");
	pthread_exit(NULL);
}

static void *gone(void *nothing)
{
	pid_t tid = gettid();
	char byte;

	prctl(PR_SET_NAME, "gone");
	scene_check(write(ids[1], &tid, sizeof(tid)) == sizeof(tid), "tell the scene");
	scene_check(read(go[0], &byte, 1) == 1, "be told");
	return nothing;
}

static __attribute__((noreturn)) void halved(void)
{
	pthread_t thread;

	scene_check(!pthread_create(&thread, NULL, gone, NULL), "start a thread");
	scene_sleep();
}

static void keep_gone(void)
{
	siginfo_t info;
	pid_t tid;

	scene_check(read(ids[0], &tid, sizeof(tid)) == sizeof(tid), "hear of a thread");
	scene_check(!ptrace(PTRACE_SEIZE, tid, NULL, NULL), "trace a thread");
	scene_check(write(go[1], "", 1) == 1, "tell a thread");
	scene_check(!waitid(P_PID, tid, &info, WEXITED | WNOWAIT | __WALL), "wait");
}

int main(void)
{
	char byte;

	scene_check(!pipe(ready) && !pipe(ids) && !pipe(go), "make pipes");
	if (!scene_fork("waits"))
		return beget(1) == 1; /* not as a tail call, which would be a jump */
	if (!scene_fork("leaderless"))
		leaderless();
	if (!scene_fork("halved"))
		halved();
	for (int i = 0; i < 3; i++)
		scene_check(read(ready[0], &byte, 1) == 1, "hear of a process");
	keep_gone();
	scene_ready();
	scene_sleep();
}
