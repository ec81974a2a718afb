// SPDX-License-Identifier: GPL-2.0-only
/*
 * threads - a process of nine threads, each asleep in a different place in the kernel
 */
#include "scene.h"
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

static int pipes[2], sockets[2], poller;
static pthread_barrier_t there;

static void in_pause(void)
{
	scene_sleep();
}

static void in_nanosleep(void)
{
	struct timespec day = { .tv_sec = 24 * 60 * 60 };

	nanosleep(&day, NULL);
}

static void in_futex(void)
{
	static int word;

	syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL);
}

static void in_pipe(void)
{
	char byte;

	scene_check(read(pipes[0], &byte, 1) == 1, "read a pipe");
}

static void in_socket(void)
{
	char byte;

	scene_check(recv(sockets[0], &byte, 1, 0) == 1, "receive");
}

static void in_epoll(void)
{
	struct epoll_event event;

	epoll_wait(poller, &event, 1, -1);
}

static void in_poll(void)
{
	struct pollfd fd = { .fd = pipes[0], .events = POLLIN };

	poll(&fd, 1, -1);
}

static void in_sigwait(void)
{
	sigset_t wanted;
	int got;

	sigemptyset(&wanted);
	sigaddset(&wanted, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &wanted, NULL);
	syscall(SYS_setresuid, -1, 1234, -1); /* for this thread alone */
	sigwait(&wanted, &got);
}

static const struct {
	const char *name;
	void (*sleep)(void);
} kinds[] = {
	{ "in pause", in_pause },   { "in nanosleep", in_nanosleep }, { "in futex", in_futex },
	{ "in pipe", in_pipe },	    { "in socket", in_socket },	      { "in epoll", in_epoll },
	{ "in poll", in_poll },	    { "in sigwait", in_sigwait },
};

#define THREADS (sizeof(kinds) / sizeof(kinds[0]))

static void *thread(void *number)
{
	unsigned long kind = (unsigned long)number;

	prctl(PR_SET_NAME, kinds[kind].name);
	pthread_barrier_wait(&there);
	kinds[kind].sleep();
	return NULL;
}

int main(void)
{
	struct epoll_event event = { .events = EPOLLIN };
	pthread_t ids[THREADS];

	scene_check(!pipe(pipes) && !socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), "make pipes");
	poller = epoll_create1(0);
	scene_check(poller >= 0 && !epoll_ctl(poller, EPOLL_CTL_ADD, pipes[0], &event),
		    "use epoll");
	pthread_barrier_init(&there, NULL, THREADS + 1);
	for (unsigned long i = 0; i < THREADS; i++)
		scene_check(!pthread_create(&ids[i], NULL, thread, (void *)i), "start a thread");
	pthread_barrier_wait(&there);
	scene_ready();
	pthread_join(ids[0], NULL);
	return 0;
}
