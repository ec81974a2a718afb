// SPDX-License-Identifier: GPL-2.0-only
/*
 * fault_kinds - every kind of page fault, each at an address printed in advance
 *
 *	fault_kinds FILE
 *
 * FILE is on a file system that has to read its pages from somewhere. Memory is
 * never given back, so that an address stands for one thing only. Prints
 *	touch ...			see fault_touch.h
 *	signal ADDRESS NUMBER CODE	what the handler got
 *	mark ADDRESS MINOR MAJOR	getrusage() just before the next touch of it
 *	populated PAGES			without a fault, between the marks
 */
#include "fault_touch.h"
#include <errno.h>
#include <linux/perf_event.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/wait.h>

#define POPULATED 10
#define DEEP (300 * 1024UL)
#define VSYSCALL_TIME 0xffffffffff600400UL
#define KERNEL_TEXT 0xffffffff81000000UL

static sigjmp_buf back;
static memory_t sink;

static void anonymous(void)
{
	memory_t *memory = map(4 * PAGE, RW, PRIVATE, -1);

	reads(memory, "zero page");
	writes(memory, "copy on write");
	writes(memory + PAGE, "new page");
}

static void files(int fd)
{
	memory_t *private = map(16 * PAGE, RW, MAP_PRIVATE, fd);
	memory_t *shared = map(16 * PAGE, RW, MAP_SHARED, fd);
	memory_t *new = map(PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1);

	reads(private, "file page");
	writes(private, "copy on write");
	writes(private + PAGE, "copy on write"); /* the read has touched it as well */
	must(!madvise((void *)(private + 2 * PAGE), PAGE, MADV_DONTNEED), "madvise");
	writes(private + 2 * PAGE, "private copy");
	writes(shared, "shared page");
	writes(new, "shared page");
}

static void storage(const char *path)
{
	int fd = open(path, O_RDONLY);

	must(fd >= 0, path);
	reads(map(PAGE, PROT_READ, MAP_PRIVATE, fd), "file page");
}

/* A page whose first write the file system is told about: page_mkwrite() */
static void written(void)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE,
					.size = sizeof(attr),
					.config = PERF_COUNT_SW_DUMMY };
	int fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
	memory_t *memory;

	must(fd >= 0, "perf_event_open");
	memory = map(2 * PAGE, RW, MAP_SHARED, fd);
	reads(memory, "file page");
	writes(memory, "shared write");
}

static void vdso(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long start, end;
	char line[256];

	must(!!maps, "maps");
	while (fgets(line, sizeof(line), maps)) {
		if (strstr(line, "[vdso]") &&
		    sscanf(line, "%lx-%lx", &start, &end) == 2)
			reads((memory_t *)(end - PAGE), "kernel page");
	}
	fclose(maps);
}

static __attribute__((__noinline__)) char grow(void)
{
	memory_t deep[DEEP];

	deep[0] = 1;
	return deep[0];
}

static __attribute__((__noinline__)) void stack(void)
{
	memory_t here = 0;

	say("grow %#lx\n", (unsigned long)&here);
	must(grow() == 1, "stack");
}

static void huge(void)
{
	memory_t *memory;

	set("/proc/sys/vm/nr_hugepages", "3");
	set("/sys/kernel/mm/transparent_hugepage/use_zero_page", "1");
	writes(aligned() + 5 * PAGE, "huge page");
	memory = aligned();
	reads(memory, "huge zero page");
	writes(memory, "copy on write");
	writes(map(HUGE_PAGE, RW, PRIVATE | MAP_HUGETLB, -1),
	       "huge page of the pool");
}

static void after_fork(void)
{
	memory_t *memory = map(PAGE, RW, PRIVATE, -1);
	memory_t *alone = map(PAGE, RW, PRIVATE, -1);
	memory_t *split = aligned();
	memory_t *whole = aligned();
	memory_t *pool = map(HUGE_PAGE, RW, PRIVATE | MAP_HUGETLB, -1);
	int status;
	pid_t pid;

	writes(memory, "new page");
	writes(alone, "new page");
	writes(split, "huge page");
	writes(whole, "huge page");
	reads(pool, "huge page of the pool");
	writes(pool, "huge page of the pool made writable");
	pid = fork();
	if (!pid) {
		say("child %d\n", getpid());
		writes(memory, "copy on write");
		writes(split, "copy on write");
		writes(pool, "huge page of the pool copied");
		writes((memory_t *)0x1000, "signal");
		_exit(0);
	}
	must(pid > 0 && waitpid(pid, &status, 0) == pid, "fork");
	say("died %d %d\n", pid, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	touch(alone, "write", "user", "made writable|copy on write");
	*alone = 2;
	touch(whole, "write", "user", "huge page made writable|copy on write");
	*whole = 2;
	writes(pool, "huge page of the pool made writable");
}

static void kernel_mode(int fd)
{
	memory_t *memory = map(2 * PAGE, RW, PRIVATE, -1);
	memory_t *from = map(16 * PAGE, PROT_READ, MAP_PRIVATE, fd);
	memory_t *nothing = map(PAGE, PROT_NONE, PRIVATE, -1);

	touch(memory, "write", "kernel", "new page");
	must(pread(fd, (void *)memory, 1, 0) == 1, "pread");
	touch(from + 5 * PAGE, "read", "kernel", "file page");
	must(pwrite(fd, (void *)(from + 5 * PAGE), 1, 0) == 1, "pwrite");
	touch(nothing, "write", "kernel", "fixup");
	must(pread(fd, (void *)nothing, 1, 0) == -1 && errno == EFAULT, "EFAULT");
}

static void handler(int number, siginfo_t *info, void *context)
{
	(void)context;
	say("signal %#lx %d %d\n", (unsigned long)info->si_addr, number,
	    info->si_code);
	siglongjmp(back, 1);
}

static void wrong(memory_t *where, const char *access)
{
	if (sigsetjmp(back, 1))
		return;
	/* The kernel checks whether it may be executed only if there is a page */
	if (*access == 'e')
		touch(where, access, "user", "zero page");
	touch(where, access, "user", "signal");
	if (*access == 'e')
		((void (*)(void))(unsigned long)where)();
	else if (*access == 'w')
		*where = 1;
	else
		sink = *where;
}

static void signals(int fd)
{
	struct sigaction action = { .sa_sigaction = handler,
				    .sa_flags = SA_SIGINFO };

	must(!sigaction(SIGSEGV, &action, NULL), "sigaction");
	must(!sigaction(SIGBUS, &action, NULL), "sigaction");
	wrong((memory_t *)0x2000, "read");
	wrong((memory_t *)KERNEL_TEXT, "read");
	wrong(map(PAGE, PROT_READ, PRIVATE, -1), "write");
	wrong(map(PAGE, PROT_NONE, PRIVATE, -1), "read");
	wrong(map(PAGE, RW, PRIVATE, -1), "execute");
	wrong(map(32 * PAGE, RW, MAP_SHARED, fd) + 20 * PAGE, "read");
}

static void vsyscall(void)
{
	touch((memory_t *)VSYSCALL_TIME, "execute", "user", "emulated");
	must(((long (*)(long *))VSYSCALL_TIME)(NULL) > 0, "vsyscall");
}

static void mark(memory_t *where, const char *name)
{
	long minor, major;

	counters(&minor, &major);
	*where = 1;
	say("%s %#lx %ld %ld\n", name, (unsigned long)where, minor, major);
}

int main(int argc, char **argv)
{
	int fd = open("/tmp/fault_kinds.txt", O_RDWR | O_CREAT | O_TRUNC, 0600);
	memory_t *marks = map(4 * PAGE, RW, PRIVATE, -1);

	must(argc == 2 && fd >= 0, "use");
	for (int i = 0; i < 16; i++)
		must(pwrite(fd, "f", 1, (i + 1) * PAGE - 1) == 1, "pwrite");
	mark(marks, "warm"); /* say() and getrusage() have touched their pages now */
	mark(marks + PAGE, "first");
	anonymous();
	files(fd);
	storage(argv[1]);
	written();
	vdso();
	stack();
	huge();
	after_fork();
	kernel_mode(fd);
	signals(fd);
	vsyscall();
	map(POPULATED * PAGE, RW, PRIVATE | MAP_POPULATE, -1);
	say("populated %d\n", POPULATED);
	mark(marks + 2 * PAGE, "last");
	return 0;
}
