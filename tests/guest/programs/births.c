// SPDX-License-Identifier: GPL-2.0-only
/*
 * births - start processes and threads in many ways, and print what each should be
 *
 * Lines "NAME KEY=VALUE ..." for tests/debugger/test_trace_fork.py.
 */
#include <errno.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE	4096UL
#define PAGES	32
#define COMMON	5
#define THREADS	8

static char text[1 << 16];

static void check(int holds, const char *what)
{
	if (holds)
		return;
	perror(what);
	exit(1);
}

/* Read a file of /proc without touching pages other than text */
static void read_proc(const char *path)
{
	int fd = open(path, O_RDONLY);
	ssize_t done = 0, got;

	while ((got = read(fd, text + done, sizeof(text) - 1 - done)) > 0)
		done += got;
	text[done] = 0;
	close(fd);
}

/* The number of lines in /proc/self/maps, but for the vsyscall page, which is no area */
static int areas(void)
{
	int count = 0;

	read_proc("/proc/self/maps");
	for (char *at = text; (at = strchr(at, '\n')); at++)
		count++;
	return count - !!strstr(text, "[vsyscall]");
}

static long unshared; /* pages in areas without anonymous pages: files, shared memory */

/* Anonymous pages of private, writable areas */
static long anonymous(void)
{
	long pages = 0, resident = 0;

	read_proc("/proc/self/smaps");
	unshared = 0;
	for (char *line = text; line && *line; line = strchr(line, '\n') + 1) {
		static int writable;

		if (strchr("0123456789abcdef", *line)) /* names of fields begin with capitals */
			writable = !strncmp(strchr(line, ' ') + 1, "rw-p", 4) ||
				   !strncmp(strchr(line, ' ') + 1, "rwxp", 4);
		if (writable && !strncmp(line, "Anonymous:", 10))
			pages += atol(line + 10) / 4;
		if (!strncmp(line, "Rss:", 4))
			resident = atol(line + 4) / 4;
		if (!strncmp(line, "Anonymous:", 10) && !atol(line + 10))
			unshared += resident;
	}
	return pages;
}

static void reap(pid_t child)
{
	int status;

	check(child > 0 && waitpid(child, &status, 0) == child && !status, "wait");
}

/* The child prints how many areas it has, and how many pages are left of them */
static void with_areas(void)
{
	char *map = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *common = mmap(NULL, COMMON * PAGE, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct rusage before, after;
	int pipes[2], theirs, ours;
	long dirty, faults;
	pid_t child;

	check(map != MAP_FAILED && common != MAP_FAILED && !pipe(pipes), "map");
	memset(common, 1, COMMON * PAGE);
	memset(map, 1, PAGES * PAGE);
	memset(text, 1, sizeof(text));
	check(!madvise(map, PAGE, MADV_DONTFORK), "MADV_DONTFORK");
	check(!madvise(map + 2 * PAGE, PAGE, MADV_WIPEONFORK), "MADV_WIPEONFORK");
	ours = areas();
	dirty = anonymous(); /* touches what it uses, so that it is counted */
	dirty = anonymous();
	child = syscall(SYS_fork);
	if (!child) {
		theirs = areas();
		check(write(pipes[1], &theirs, sizeof(theirs)) > 0, "write");
		pause();
	}
	check(read(pipes[0], &theirs, sizeof(theirs)) > 0, "read");
	getrusage(RUSAGE_SELF, &before);
	getrusage(RUSAGE_SELF, &before);
	for (int i = 0; i < PAGES; i++)
		*(volatile char *)(map + i * PAGE) = 2;
	getrusage(RUSAGE_SELF, &after);
	faults = after.ru_minflt - before.ru_minflt;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	printf("areas child=%d ours=%d theirs=%d dirty=%ld unshared=%ld left_out=%lu wiped=%lu faults=%ld\n",
	       child, ours, theirs, dirty, unshared, (unsigned long)map,
	       (unsigned long)(map + 2 * PAGE), faults);
}

static void with_libc_fork(void)
{
	pid_t child = fork();

	if (!child)
		_exit(0);
	reap(child);
	printf("libc child=%d\n", child);
}

static void with_vfork(void)
{
	pid_t child = vfork();

	if (!child) {
		execl("/bin/busybox", "true", NULL);
		_exit(127);
	}
	reap(child);
	printf("vfork child=%d\n", child);
}

/* The caller is killed while it waits for its child to release the memory */
static void with_killed_vfork(unsigned long flags)
{
	volatile pid_t *told = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t parent = fork();

	if (!parent) {
		if (!(flags & CLONE_VM ? vfork() : syscall(SYS_clone, flags, 0, 0, 0, 0))) {
			told[0] = getpid();
			while (!told[1])
				usleep(1000);
			told[2] = 1;
			_exit(0);
		}
		_exit(127);
	}
	while (!told[0])
		usleep(1000);
	kill(parent, SIGKILL);
	check(waitpid(parent, NULL, 0) == parent, "wait");
	told[1] = 1;
	while (!told[2])
		usleep(1000);
	printf("killed_vfork child=%d parent=%d flags=%lu\n", told[0], parent, flags);
}

static void with_flags(unsigned long flags)
{
	pid_t child = syscall(SYS_clone, flags, 0, 0, 0, 0);

	if (!child)
		_exit(0);
	check(child > 0, "clone");
	check(waitpid(child, NULL, __WALL) == child, "wait");
	printf("clone child=%d flags=%lu\n", child, flags);
}

static int ends(void *unused)
{
	syscall(SYS_exit, unused ? 1 : 0);
	return 0;
}

/* Two processes that share a memory and have the same parent */
static void with_sibling(void)
{
	char *stack = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	volatile pid_t *told = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t maker = fork(), child;

	if (!maker) {
		told[0] = clone(ends, stack + PAGES * PAGE,
				CLONE_VM | CLONE_PARENT | SIGCHLD, NULL);
		check(told[0] > 0, "clone");
		while (!kill(told[0], 0))
			usleep(1000);
		_exit(0);
	}
	child = wait(NULL); /* the one that made it waits for its end */
	while (!told[0]) /* which may come before its number is known */
		usleep(1000);
	check(child == told[0], "wait");
	reap(maker);
	printf("sibling child=%d maker=%d parent=%d\n", child, maker, getpid());
}

static pid_t ids[THREADS];
static void *places[THREADS]; /* in each thread's stack */

static void *thread_main(void *argument)
{
	char object = 0;

	ids[(long)argument] = gettid();
	places[(long)argument] = &object;
	__asm__ volatile ("" : : "r" (&object) : "memory");
	return NULL;
}

static void with_threads(void)
{
	pthread_t threads[THREADS];

	for (long i = 0; i < THREADS; i++)
		check(!pthread_create(&threads[i], NULL, thread_main, (void *)i),
		      "pthread_create");
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < THREADS; i++)
		printf("thread child=%d process=%d place=%lu self=%lu\n", ids[i],
		       getpid(), (unsigned long)places[i], (unsigned long)threads[i]);
}

static void failing(void)
{
	struct rlimit none = { 0, 0 };
	char nothing[64] = "";
	pid_t child;

	syscall(SYS_clone, CLONE_THREAD, 0, 0, 0, 0);
	printf("fails call=clone errno=%d\n", errno);
	syscall(SYS_clone3, nothing, 1);
	printf("fails call=clone3 errno=%d\n", errno);
	fflush(stdout);
	child = fork();
	if (!child) { /* root may have as many as it likes */
		check(!setuid(1000) && !setrlimit(RLIMIT_NPROC, &none), "setrlimit");
		syscall(SYS_fork);
		printf("fails call=fork errno=%d\n", errno);
		fflush(stdout);
		_exit(0);
	}
	reap(child);
	printf("libc child=%d\n", child);
}

int main(void)
{
	with_areas();
	with_libc_fork();
	with_vfork();
	with_killed_vfork(CLONE_VM | CLONE_VFORK | SIGCHLD);
	with_killed_vfork(CLONE_VFORK | SIGCHLD);
	with_flags(SIGCHLD);
	with_flags(CLONE_FS | CLONE_FILES | SIGCHLD);
	with_flags(CLONE_NEWNS | SIGWINCH);
	with_flags(CLONE_VFORK | SIGCHLD);
	with_sibling();
	with_threads();
	failing();
	return 0;
}
