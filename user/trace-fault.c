// SPDX-License-Identifier: GPL-2.0-only
/*
 * trace-fault - touch memory in every way that causes a page fault
 *
 * Made to be watched:
 *
 *	make debug PROGRAM=build/user/trace-fault
 *	(gdb) source gdb/seginfo.py
 *	(gdb) lab trace fault
 *
 * Watch for these: the start of the program, where each page of code is mapped
 * with its neighbours; the zero page, shared by all that was only read; what copies
 * a page (a write while it is shared) and what does not (a write by its last
 * owner); faults taken in the kernel, in read() and write(); and the two that
 * cannot be resolved, and what their signals say.
 *
 * Each step prints the address that it is about to touch.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* So that a backtrace shows which step the program is in */
#define noinline __attribute__((__noinline__))

#define PAGE 4096UL
#define HUGE_PAGE (512 * PAGE)
#define PAGES 4
#define READ_WRITE (PROT_READ | PROT_WRITE)
#define PRIVATE (MAP_PRIVATE | MAP_ANONYMOUS)
#define FILE_NAME "/tmp/trace-fault.txt"
#define HUGE_SETTING "/sys/kernel/mm/transparent_hugepage/enabled"
#define DEEP (256 * 1024UL) /* bytes, more than a new stack has */

static int file;
static char contents[PAGES * PAGE];
static sigjmp_buf before_signal;
static volatile sig_atomic_t got_signal, got_code;
static void *volatile got_address;

static void check(bool good, const char *what)
{
	if (!good) {
		fprintf(stderr, "trace-fault: WRONG: %s: %m\n", what);
		exit(1);
	}
}

static volatile char *map(size_t size, int prot, int flags, int fd)
{
	char *memory = mmap(NULL, size, prot, flags, fd, 0);

	check(memory != MAP_FAILED, "mmap() fails");
	return memory;
}

static void about_to(const char *what, const volatile char *address)
{
	printf("trace-fault: %s %p\n", what, (void *)address);
	fflush(stdout);
}

/* Memory that was only read maps the zero page; the first write gets a page */
static noinline void anonymous(void)
{
	volatile char *memory = map(PAGES * PAGE, READ_WRITE, PRIVATE, -1);

	about_to("read, then write", memory);
	check(!memory[0], "new memory is not zero");
	memory[0] = 1;
	about_to("write first", memory + PAGE);
	memory[PAGE] = 1;
}

/* A file's pages are seen as they are, until a write makes a copy for the writer */
static noinline void private_file(void)
{
	volatile char *memory =
		map(PAGES * PAGE, READ_WRITE, MAP_PRIVATE, file);
	char byte;

	about_to("read a file, then write to it privately", memory);
	check(memory[0] == 'f', "the file is not what was written");
	memory[0] = 'p';
	check(pread(file, &byte, 1, 0) == 1 && byte == 'f', "the file changed");
}

/* The same without a copy */
static noinline void shared_file(void)
{
	volatile char *memory =
		map(PAGES * PAGE, READ_WRITE, MAP_SHARED, file);
	char byte;

	about_to("write to a shared file", memory + PAGE);
	memory[PAGE] = 's';
	check(pread(file, &byte, 1, PAGE) == 1 && byte == 's',
	      "the file did not change");
}

/* After a fork both have the same pages, and the first to write gets a copy */
static noinline void after_fork(void)
{
	volatile char *memory = map(PAGE, READ_WRITE, PRIVATE, -1);
	int status;
	pid_t pid;

	memory[0] = 1;
	about_to("write, a child and then its parent,", memory);
	pid = fork();
	if (!pid) {
		memory[0] = 2; /* a copy */
		_exit(memory[0]);
	}
	check(pid > 0 && waitpid(pid, &status, 0) == pid, "no child");
	check(WIFEXITED(status) && WEXITSTATUS(status) == 2, "the child fails");
	check(memory[0] == 1, "the child wrote to its parent's memory");
	memory[0] = 3; /* nobody else has it any more: perhaps no copy */
}

/* A stack is made longer when it is used below its end */
static noinline char use_deep_stack(void)
{
	volatile char deep[DEEP];

	deep[0] = 1;
	return deep[0];
}

static noinline void deep_stack(void)
{
	volatile char here = 0;

	about_to("write to the stack, far below", &here);
	check(use_deep_stack() == 1, "the stack forgets");
}

/* They are off by default on a machine with so little memory */
static void allow_huge_pages(void)
{
	int setting = open(HUGE_SETTING, O_WRONLY);

	check(setting >= 0, "no " HUGE_SETTING);
	check(write(setting, "madvise", 7) == 7, "no huge pages");
	close(setting);
}

/* With madvise() a fault may give 512 pages at once */
static noinline void huge_page(void)
{
	volatile char *memory = map(2 * HUGE_PAGE, READ_WRITE, PRIVATE, -1);
	volatile char *huge = memory + (-(unsigned long)memory % HUGE_PAGE);

	allow_huge_pages();
	check(!madvise((void *)huge, HUGE_PAGE, MADV_HUGEPAGE),
	      "no huge pages");
	about_to("write to huge memory", huge);
	huge[0] = 1;
}

/* The kernel touches memory for a program, and gets the same faults */
static noinline void kernel_mode(void)
{
	volatile char *memory = map(PAGES * PAGE, READ_WRITE, PRIVATE, -1);

	about_to("let read() write to", memory);
	check(pread(file, (void *)memory, 1, 0) == 1, "read() fails");
	check(!munmap((void *)memory, PAGES * PAGE), "munmap() fails");
	about_to("let read() write to what is no more,", memory);
	check(pread(file, (void *)memory, 1, 0) == -1 && errno == EFAULT,
	      "read() does not refuse");
}

static void handler(int number, siginfo_t *info, void *context)
{
	(void)context;
	got_signal = number;
	got_code = info->si_code;
	got_address = info->si_addr;
	siglongjmp(before_signal, 1);
}

static noinline void touch_wrongly(volatile char *address, int number, int code)
{
	got_signal = 0;
	about_to("wrongly write to", address);
	if (!sigsetjmp(before_signal, 1))
		*address = 1;
	check(got_signal == number, "not the signal that was to come");
	check(got_code == code && got_address == address,
	      "the signal says something else");
}

/* What no page can help: no memory there, memory to read only, a file's end */
static noinline void signals(void)
{
	struct sigaction action = { .sa_sigaction = handler,
				    .sa_flags = SA_SIGINFO };
	volatile char *memory = map(PAGES * PAGE, PROT_READ,
				    PRIVATE, -1);
	volatile char *beyond = map((PAGES + 1) * PAGE, READ_WRITE,
				    MAP_SHARED, file);

	check(!sigaction(SIGSEGV, &action, NULL), "sigaction() fails");
	check(!sigaction(SIGBUS, &action, NULL), "sigaction() fails");
	touch_wrongly(memory, SIGSEGV, SEGV_ACCERR);
	touch_wrongly(beyond + PAGES * PAGE, SIGBUS, BUS_ADRERR);
	check(!munmap((void *)memory, PAGES * PAGE), "munmap() fails");
	touch_wrongly(memory, SIGSEGV, SEGV_MAPERR);
}

int main(void)
{
	file = open(FILE_NAME, O_RDWR | O_CREAT | O_TRUNC, 0600);
	check(file >= 0, "cannot make " FILE_NAME);
	memset(contents, 'f', sizeof(contents));
	check(write(file, contents, sizeof(contents)) == sizeof(contents),
	      "cannot write " FILE_NAME);

	anonymous();
	private_file();
	shared_file();
	after_fork();
	deep_stack();
	huge_page();
	kernel_mode();
	signals();
	printf("trace-fault: every touch came out as it should\n");
	return 0;
}
