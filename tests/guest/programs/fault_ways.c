// SPDX-License-Identifier: GPL-2.0-only
/*
 * fault_ways - page faults that end differently from similar ones
 *
 * A fault of the kernel that is not resolved but gives no EFAULT; an area that grows for
 * a read; a huge page that is mapped in pieces. Prints what fault_touch.h does, and
 *	grows ADDRESS BYTES	before an area grows down to it
 *	mapped ADDRESS COUNT	how many address spaces have the page at that moment
 */
#include "fault_touch.h"
#include <errno.h>
#include <linux/futex.h>
#include <sys/wait.h>

#define BELOW 60
#define GAP 1024 /* pages, more than the 256 that a growing area keeps free */

static pid_t forked(void)
{
	pid_t pid = fork();

	must(pid >= 0, "fork");
	return pid;
}

static void ended(pid_t pid)
{
	int status;

	must(waitpid(pid, &status, 0) == pid, "waitpid");
	say("died %d %d\n", pid, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

/* It first reads the word without waiting, and then like any other access */
static void futex(void)
{
	memory_t *word = map(PAGE, RW, PRIVATE, -1);

	touch(word, "read", "kernel", "fixup");
	touch(word, "read", "kernel", "zero page");
	must(syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0) ==
		     -1 && errno == EAGAIN, "EAGAIN");
}

/* A path is read by words, and the last word may extend into an unmapped page */
static void end_of_page(void)
{
	memory_t *memory = map(2 * PAGE, RW, PRIVATE, -1);
	char *path = (char *)memory + PAGE - sizeof("/tmp");

	must(!munmap((void *)(memory + PAGE), PAGE), "munmap");
	strcpy(path, "/tmp");
	touch(memory + PAGE, "read", "kernel", "fixup");
	must(syscall(SYS_open, path, O_RDONLY | O_DIRECTORY) >= 0, "open");
}

/* The stack's start, from the line of the stack in maps */
static unsigned long stack_start(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long start = 0, end;
	char line[256];

	must(!!maps, "maps");
	while (fgets(line, sizeof(line), maps)) {
		if (strstr(line, "[stack]"))
			must(sscanf(line, "%lx-%lx", &start, &end) == 2, "maps");
	}
	fclose(maps);
	return start;
}

static void stack(void)
{
	memory_t *start = (memory_t *)stack_start();

	say("grows %p %lu\n", start - BELOW * PAGE, BELOW * PAGE);
	reads(start - BELOW * PAGE, "stack growth");
}

/* An area that grows like a stack, until another one is too near */
static void grows_down(void)
{
	memory_t *gap = map(GAP * PAGE, PROT_NONE, PRIVATE, -1);
	memory_t *memory = gap + (GAP - 1) * PAGE;
	pid_t pid;

	must(!munmap((void *)gap, GAP * PAGE), "munmap");
	must(mmap((void *)memory, PAGE, RW, PRIVATE | MAP_GROWSDOWN | MAP_FIXED,
		  -1, 0) == memory, "mmap");
	writes(memory, "new page");
	say("grows %p %lu\n", memory - PAGE, PAGE);
	writes(memory - PAGE, "stack growth");
	must(mmap((void *)(memory - 20 * PAGE), PAGE, RW, PRIVATE | MAP_FIXED,
		  -1, 0) == memory - 20 * PAGE, "mmap");
	pid = forked();
	if (!pid) {
		say("child %d\n", getpid());
		writes(memory - 2 * PAGE, "signal");
		_exit(0);
	}
	ended(pid);
}

static void copied(memory_t *where, int holders)
{
	say("mapped %p %d\n", where, holders);
	writes(where, "copy on write");
}

/* The first to write then has it in pieces, the other one still as a whole */
static void huge(void)
{
	memory_t *memory = aligned();
	int ready[2];
	pid_t pid;
	char byte;

	writes(memory, "huge page");
	must(!pipe(ready), "pipe");
	pid = forked();
	if (!pid) {
		must(read(ready[0], &byte, 1) == 1, "read");
		say("child %d\n", getpid());
		copied(memory + 5 * PAGE, 2);
		copied(memory + 7 * PAGE, 1);
		_exit(0);
	}
	copied(memory + 7 * PAGE, 2);
	must(write(ready[1], "", 1) == 1, "write");
	ended(pid);
	copied(memory + 9 * PAGE, 1);
}

int main(void)
{
	futex();
	stack();
	grows_down();
	huge();
	end_of_page(); /* last: nothing is mapped any more after the page */
	return 0;
}
