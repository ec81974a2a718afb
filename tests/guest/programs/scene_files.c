// SPDX-License-Identifier: GPL-2.0-only
/*
 * files - a descriptor of every kind
 */
#include "scene.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>

static int opened(int fd)
{
	scene_check(fd >= 0, "open a descriptor");
	return fd;
}

static void regular(void)
{
	int fd = scene_file("/tmp/file", 3);

	lseek(fd, 5000, SEEK_SET);
	opened(dup(fd));
	opened(fcntl(fd, F_DUPFD_CLOEXEC, 0));
	flock(opened(open("/tmp/file", O_WRONLY | O_APPEND | O_SYNC | O_CLOEXEC)), LOCK_EX);
	opened(open("/tmp/file", O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOATIME));
	opened(open("/tmp/file", O_PATH));
	opened(open("/tmp", O_RDONLY | O_DIRECTORY));
	opened(open("/tmp", O_RDWR | O_TMPFILE, 0600));
	opened(open("/", O_RDONLY));
	opened(open("/proc/self/maps", O_RDONLY));
	opened(open("/sys/kernel", O_RDONLY));
	scene_file("/tmp/deleted file", 1);
	unlink("/tmp/deleted file");
	opened(dup2(fd, 300)); /* the table of descriptors has to grow */
}

static void pipes(void)
{
	int fds[2];

	scene_check(!pipe2(fds, O_NONBLOCK | O_CLOEXEC) && write(fds[1], "abc", 3) == 3,
		    "make a pipe");
	scene_check(!mkfifo("/tmp/fifo", 0600), "make a fifo");
	opened(open("/tmp/fifo", O_RDWR));
}

static void sockets(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "/tmp/socket" };
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(4711),
		.sin_addr.s_addr = htonl(INADDR_ANY),
	};
	int fds[2], fd;

	scene_check(!socketpair(AF_UNIX, SOCK_STREAM, 0, fds), "make sockets");
	fd = opened(socket(AF_UNIX, SOCK_STREAM, 0));
	scene_check(!bind(fd, (struct sockaddr *)&name, sizeof(name)) && !listen(fd, 5), "bind");
	fd = opened(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	scene_check(!bind(fd, (struct sockaddr *)&address, sizeof(address)) && !listen(fd, 5),
		    "bind");
	opened(socket(AF_INET, SOCK_DGRAM, 0));
}

static void anonymous(void)
{
	struct itimerspec day = { .it_value.tv_sec = 86400 };
	struct epoll_event event = { .events = EPOLLIN };
	int fd = opened(epoll_create1(EPOLL_CLOEXEC));
	int counter = opened(eventfd(5, EFD_NONBLOCK));
	sigset_t set;

	epoll_ctl(fd, EPOLL_CTL_ADD, counter, &event);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	opened(signalfd(-1, &set, 0));
	timerfd_settime(opened(timerfd_create(CLOCK_MONOTONIC, 0)), 0, &day, NULL);
	opened(memfd_create("of the scene", MFD_CLOEXEC | MFD_ALLOW_SEALING));
}

static void devices(void)
{
	opened(open("/dev/null", O_RDWR));
	opened(open("/dev/zero", O_RDONLY));
	opened(open("/dev/mem", O_RDONLY));
	opened(open("/dev/console", O_RDWR | O_NOCTTY));
}

int main(void)
{
	regular();
	pipes();
	sockets();
	anonymous();
	devices();
	umask(027);
	scene_check(!chdir("/tmp"), "change the folder");
	scene_ready();
	scene_sleep();
}
