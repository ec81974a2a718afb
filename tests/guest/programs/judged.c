// SPDX-License-Identifier: GPL-2.0-only
/*
 * judged - pass segment_info() whatever a caller can, for the kernel's own checkers
 *
 *	judged SECONDS [SEED]
 *
 * Random pointers into a window whose pages come, go and change their kind, pointers to
 * nowhere and into the kernel, and anything in the registers of arguments that the call does
 * not have: each call must succeed if all of the struct can be written, and else return
 * EFAULT. Then each allocation and each copy in the call is made to fail, one after the other,
 * and at the end no memory may have leaked. Prints what it saw, and exits with 1 if anything
 * was wrong. Making things fail needs a kernel built with JUDGES=1.
 */
#include "lab.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096UL
#define PAGES 32
#define SIZE sizeof(struct segment_info)
#define DEBUG "/sys/kernel/debug/"
#define FILE_PAGES 2
#define INJECTIONS 10

enum kind { HOLE, NONE, READABLE, BEHIND_END, WRITABLE, SHARED, KINDS };

static enum kind kinds[PAGES];
static char *window;
static int memory; /* a file of FILE_PAGES pages */
static unsigned long calls, good, faults, no_memory;

static void __attribute__((noreturn)) __printf(1, 2) die(const char *format, ...)
{
	va_list args;

	printf("judged: WRONG: ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf(" (errno: %s)\n", strerror(errno));
	exit(1);
}

static uint64_t any(void)
{
	static uint64_t state;

	if (!state)
		state = random() | 1;
	/* xorshift64 */
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static void change(size_t page, enum kind kind)
{
	static const int prots[KINDS] = {
		[NONE] = PROT_NONE,
		[READABLE] = PROT_READ,
		[BEHIND_END] = PROT_READ | PROT_WRITE,
		[WRITABLE] = PROT_READ | PROT_WRITE,
		[SHARED] = PROT_READ | PROT_WRITE,
	};
	char *at = window + page * PAGE;
	bool file = kind == BEHIND_END || kind == SHARED;
	off_t offset = kind == SHARED ? any() % FILE_PAGES * PAGE : FILE_PAGES * PAGE;
	int flags = MAP_FIXED | (file ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS);

	kinds[page] = kind;
	if (kind == HOLE) {
		if (munmap(at, PAGE))
			die("cannot unmap a page");
	} else if (mmap(at, PAGE, prots[kind], flags, file ? memory : -1,
			file ? offset : 0) == MAP_FAILED) {
		die("cannot map a page");
	}
}

static bool can_be_written(size_t offset)
{
	for (size_t page = offset / PAGE; page <= (offset + SIZE - 1) / PAGE; page++) {
		if (page >= PAGES || kinds[page] < WRITABLE)
			return false;
	}
	return true;
}

static void check_answer(const struct segment_info *info)
{
	unsigned long behind = 0;

	if (!info->ma_size || info->ma_size > SEGMENT_INFO_MAX_AREAS)
		die("%lu areas", info->ma_size);
	for (size_t i = 0; i < info->ma_size; behind = info->ma[i++].vm_end) {
		if (info->ma[i].vm_start < behind || info->ma[i].vm_end <= info->ma[i].vm_start)
			die("area %zu is out of order", i);
	}
}

/* Call with nonsense in the registers that it does not use */
static long call(void *to)
{
	calls++;
	return syscall(SEGMENT_INFO_NR, to, any(), any(), any(), any(), any());
}

static void expect(void *to, bool success)
{
	long ret = call(to);

	if (success) {
		if (ret != gettid())
			die("%p can be written, the call gave %ld", to, ret);
		check_answer(to);
		good++;
	} else {
		if (ret != -1 || errno != EFAULT)
			die("%p cannot be written, the call gave %ld", to, ret);
		faults++;
	}
}

/* A pointer to nothing useful */
static void *nowhere(void)
{
	static const uint64_t odd[] = {
		0, 1, PAGE - 1, PAGE, 0x7fffffffefffUL, 0x7ffffffff000UL - SIZE + 1,
		0x7ffffffff000UL, 0x7fffffffffffUL, 0x800000000000UL, 0xdffffc0000000000UL,
		0xffff800000000000UL, 0xffff888000000000UL, 0xffffc90000000000UL,
		0xffffea0000000000UL, 0xffffffff81000000UL, 0xffffffffff600000UL,
		-SIZE, -SIZE + 1, -PAGE, -1UL, INT64_MIN, INT64_MAX,
		0x00ffffffffffffffUL - SIZE, 0x100000000000000UL,
	};
	uint64_t at = any();

	if (at % 4 == 0)
		return (void *)odd[at / 4 % (sizeof(odd) / sizeof(*odd))];
	at = any();
	if (at >> 47)
		return (void *)at;
	/* In between, where nothing of this program is mapped */
	return (void *)(0x100000000000UL | (at & 0xfffffffffffUL));
}

static void throw(int seconds)
{
	struct timespec start, now;

	window = mmap(NULL, PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memory = memfd_create("judged", 0);
	if (window == MAP_FAILED || memory < 0 || ftruncate(memory, FILE_PAGES * PAGE))
		die("cannot make the window");
	for (size_t page = 0; page < PAGES; page++)
		change(page, WRITABLE);
	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		for (int i = 0; i < 100; i++) {
			uint64_t chance = any();
			/* Up to its last byte, and often near the end of a page */
			size_t offset = any() % (PAGES * PAGE);

			if (chance % 8 == 0) {
				/* Half of the pages are writable */
				enum kind kind = any() % 2 ? WRITABLE : any() % KINDS;

				change(any() % PAGES, kind);
			} else if (chance % 8 == 1) {
				madvise(window + any() % PAGES * PAGE, PAGE, MADV_DONTNEED);
			}
			if (chance % 4 == 2)
				expect(nowhere(), false);
			else
				expect(window + offset, can_be_written(offset));
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - start.tv_sec < seconds);
	printf("judged: thrown: %lu calls, %lu ok, %lu EFAULT\n", calls, good, faults);
	if (!good || !faults)
		die("one of the two never came");
}

/* Map a path of the guest longer than PATH_MAX: the call needs a larger buffer */
static void map_long_path(void)
{
	char name[201];
	int fd;

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	if (chdir("/tmp"))
		die("cannot go to /tmp");
	for (int depth = 0; depth < 25; depth++) {
		if ((mkdir(name, 0700) && errno != EEXIST) || chdir(name))
			die("cannot make a folder");
	}
	fd = open("file", O_RDWR | O_CREAT, 0600);
	/* Among the first areas */
	if (fd < 0 || mmap((void *)0x10000, PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) ==
			      MAP_FAILED)
		die("cannot map a file with a long path");
	close(fd);
}

static void write_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		die("cannot write to %s", path);
	close(fd);
}

/* Anything may fail, even what may sleep; quietly, because the console is checked */
static void prepare_failing(void)
{
	if (mount("debugfs", DEBUG, "debugfs", 0, NULL) && errno != EBUSY)
		die("no debugfs: is this a kernel made with JUDGES=1?");
	write_to(DEBUG "failslab/ignore-gfp-wait", "N");
	write_to(DEBUG "fail_page_alloc/ignore-gfp-wait", "N");
	write_to(DEBUG "fail_page_alloc/min-order", "0");
	write_to(DEBUG "failslab/verbose", "0");
	write_to(DEBUG "fail_page_alloc/verbose", "0");
	write_to(DEBUG "fail_usercopy/verbose", "0");
}

/* Let the 1st, 2nd, ... operation fail, until none is left that could. Returns how many did */
static int fail_each(void)
{
	int fd = open("/proc/thread-self/fail-nth", O_RDWR);

	if (fd < 0)
		die("no fail-nth: is this a kernel made with JUDGES=1?");
	for (int nth = 1;; nth++) {
		char text[16] = "";
		int length = snprintf(text, sizeof(text), "%d", nth);
		/* Not touched yet: the page is faulted in while the kernel copies */
		void *to = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		long ret;
		int error;

		if (to == MAP_FAILED || pwrite(fd, text, length, 0) != length)
			die("cannot ask for failure %d", nth);
		ret = call(to);
		error = errno;
		/* The read itself may fail; in both cases some of the count is left */
		length = pread(fd, text, sizeof(text) - 1, 0);
		/* So may the write, which then has used it up */
		if (pwrite(fd, "0", 1, 0) != 1 && pwrite(fd, "0", 1, 0) != 1)
			die("cannot end the failing");
		if (ret == gettid()) {
			check_answer(to);
			good++;
		} else if (ret == -1 && error == ENOMEM) {
			no_memory++;
		} else if (ret == -1 && error == EFAULT) {
			faults++;
		} else {
			errno = error;
			die("failure %d gave %ld", nth, ret);
		}
		munmap(to, PAGE);
		if (length <= 0 || atoi(text)) {
			close(fd);
			if (ret < 0)
				die("nothing failed, but the call did");
			return nth - 1;
		}
	}
}

static void inject(const char *what)
{
	int most = 0;

	good = faults = no_memory = 0;
	for (int round = 0; round < INJECTIONS; round++) {
		int could = fail_each();

		most = could > most ? could : most;
	}
	printf("judged: injected, %s: up to %d failures a call, %lu ENOMEM, %lu EFAULT, %lu ok\n",
	       what, most, no_memory, faults, good);
	if (!no_memory || !faults)
		die("one of the two never came");
}

/* Print memory that nothing points to any more, and who allocated it */
static void look_for_leaks(void)
{
	static char text[1 << 20];
	size_t length = 0;
	ssize_t got;
	int fd;

	sleep(6); /* younger objects do not count as leaks yet */
	write_to(DEBUG "kmemleak", "scan");
	write_to(DEBUG "kmemleak", "scan");
	fd = open(DEBUG "kmemleak", O_RDONLY);
	if (fd < 0)
		die("cannot read kmemleak");
	while ((got = read(fd, text + length, sizeof(text) - 1 - length)) > 0)
		length += got;
	close(fd);
	if (strstr(text, "segment_info"))
		die("memory was lost:\n%s", text);
	printf("judged: no memory was lost\n");
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	srandom(argc > 2 ? atoi(argv[2]) : 1);
	throw(argc > 1 ? atoi(argv[1]) : 60);
	prepare_failing();
	inject("short paths");
	map_long_path();
	inject("a path of 5,000 bytes");
	look_for_leaks();
	return 0;
}
