/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SCENE_H
#define SCENE_H

/*
 * What the scenes share: programs that show the kernel something worth looking at
 * and then lie still. user/witness.c starts them as /scenes/NAME.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define SCENE_READY 3 /* on this descriptor the witness waits for a byte */
#define PAGE 4096UL
#define HUGE_PAGE (512 * PAGE)

static inline void scene_die(const char *what)
{
	fprintf(stderr, "scene: cannot %s: %m\n", what);
	exit(1);
}

/* This scene is set up completely; the descriptor is closed */
static inline void scene_ready(void)
{
	if (write(SCENE_READY, "", 1) != 1)
		scene_die("tell the witness");
	close(SCENE_READY);
}

static inline void __attribute__((noreturn)) scene_sleep(void)
{
	for (;;)
		pause();
}

/* Start a child that ends with its parent, called name; it has no SCENE_READY */
static inline pid_t scene_fork(const char *name)
{
	pid_t pid = fork();

	if (pid < 0)
		scene_die("start a process");
	if (!pid) {
		close(SCENE_READY);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, name);
	}
	return pid;
}

static inline void scene_check(int ok, const char *what)
{
	if (!ok)
		scene_die(what);
}

/* mmap(), which must not fail */
static inline char *scene_map(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
	char *got = mmap(at, size, prot, flags, fd, offset);

	if (got == MAP_FAILED)
		scene_die("map memory");
	return got;
}

/* Make a file of some pages, each filled with its number */
static inline int scene_file(const char *path, int pages)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
	char page[PAGE];

	if (fd < 0)
		scene_die("make a file");
	for (int i = 0; i < pages; i++) {
		memset(page, i, sizeof(page));
		if (write(fd, page, sizeof(page)) != sizeof(page))
			scene_die("write a file");
	}
	return fd;
}

#endif /* SCENE_H */
