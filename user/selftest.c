// SPDX-License-Identifier: GPL-2.0-only
/*
 * selftest - does segment_info() keep what it promises?
 *
 * One function per claim. Each runs in a child of its own, so that none depends
 * on what another mapped, and a crash is a failed test. Results are in TAP; the
 * exit code is that of the kernel's self-tests: 0 passed, 1 failed, 4 skipped.
 */
#include "lab.h"
#include "tap.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096UL
#define POISON 0xa5
#define TEST_SECONDS 60

/* Programs are compiled against this: it never changes */
_Static_assert(sizeof(struct ma_struct) == 40, "size of struct ma_struct");
_Static_assert(offsetof(struct ma_struct, name) == 16, "place of name");
_Static_assert(sizeof(struct segment_info) == 1048,
	       "size of struct segment_info");
_Static_assert(offsetof(struct segment_info, brk) == 40, "place of brk");
_Static_assert(offsetof(struct segment_info, thread_sp) == 64,
	       "place of thread_sp");
_Static_assert(offsetof(struct segment_info, ma_size) == 80,
	       "place of ma_size");
_Static_assert(offsetof(struct segment_info, ma) == 88, "place of ma");

static struct segment_info info;
static struct maps maps;

/* The first check that does not hold ends the test; errno is shown with it */
static __printf(2, 3) void check(bool holds, const char *format, ...)
{
	char text[512];
	va_list args;
	int error = errno;

	if (holds)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	tap_note("%s (errno: %s)", text, strerror(error));
	exit(TAP_FAIL);
}

static void check_call(struct segment_info *to)
{
	long ret = segment_info(to);

	check(ret == gettid(), "returned %ld instead of the thread id %d", ret,
	      gettid());
}

static void check_fault(const void *to, const char *what)
{
	long ret;

	errno = 0;
	ret = segment_info((struct segment_info *)to);
	check(ret == -1 && errno == EFAULT,
	      "%s: returned %ld instead of EFAULT", what, ret);
}

/* Leaves the answer in info and the text it was compared with in maps */
static void check_areas(void)
{
	char why[256];
	long ret = segment_info_still(&info, &maps);

	check(ret == gettid(), "returned %ld instead of the thread id %d", ret,
	      gettid());
	check(maps_compare(&maps, &info, why, sizeof(why)), "%s", why);
}

static void *map(void *at, size_t size, int prot, int flags, int fd)
{
	void *memory = mmap(at, size, prot, flags, fd, 0);

	check(memory != MAP_FAILED, "cannot map %zu bytes", size);
	return memory;
}

static void *map_memory(size_t size)
{
	return map(NULL, size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

/* A poisoned struct at the very end of a page; no access is possible behind it */
static struct segment_info *guarded(void)
{
	char *page = map_memory(2 * PAGE);

	check(!mprotect(page + PAGE, PAGE, PROT_NONE),
	      "cannot protect the guard page");
	memset(page, POISON, PAGE);
	return (void *)(page + PAGE - sizeof(struct segment_info));
}

static void check_untouched_before(const struct segment_info *to)
{
	const unsigned char *page = (const void *)((unsigned long)to & -PAGE);

	for (; page < (const unsigned char *)to; page++)
		check(*page == POISON, "byte %td before the struct was written",
		      (const unsigned char *)to - page);
}

static void in_thread(void *(*work)(void *))
{
	pthread_t thread;

	errno = pthread_create(&thread, NULL, work, NULL);
	check(!errno, "cannot start a thread");
	pthread_join(thread, NULL);
}

/* Thread id and stack pointer */

static void test_id_of_main_thread(void)
{
	check_call(&info);
	check(segment_info(&info) == getpid(),
	      "not the process id in the main thread");
}

static void *id_of_thread(void *unused)
{
	check_call(&info);
	check(segment_info(&info) != getpid(),
	      "the process id instead of the thread id");
	return unused;
}

static void test_id_of_thread(void)
{
	in_thread(id_of_thread);
}

/* The call with nothing between reading the stack pointer and entering the kernel */
static void *check_sp(void *unused)
{
	struct segment_info here;
	unsigned long sp;
	long ret;

	asm volatile("mov %%rsp, %0\n\tsyscall"
		     : "=&r"(sp), "=a"(ret)
		     : "a"(SEGMENT_INFO_NR), "D"(&here)
		     : "rcx", "r11", "memory");
	check(ret == gettid(), "returned %ld instead of the thread id", ret);
	check(here.thread_sp == sp, "thread_sp is %lx instead of %lx",
	      here.thread_sp, sp);
	return unused;
}

static void test_thread_sp(void)
{
	check_sp(NULL);
	in_thread(check_sp);
}

/* Boundaries of the mm */

static void test_boundaries(void)
{
	unsigned long value[53] = { 0 };
	int fd = open("/proc/self/stat", O_RDONLY);
	char stat[1024], *at;
	ssize_t got = read(fd, stat, sizeof(stat) - 1);

	check(got > 0, "cannot read /proc/self/stat");
	stat[got] = '\0';
	/* Behind the name and the state; fields are counted as in proc(5) */
	at = strrchr(stat, ')') + 3;
	for (int field = 4; field <= 52; field++)
		value[field] = strtoul(at, &at, 10);

	check_call(&info);
	check(info.start_code == value[26], "start_code is %lx",
	      info.start_code);
	check(info.end_code == value[27], "end_code is %lx", info.end_code);
	check(info.start_stack == value[28], "start_stack is %lx",
	      info.start_stack);
	check(info.start_data == value[45], "start_data is %lx",
	      info.start_data);
	check(info.end_data == value[46], "end_data is %lx", info.end_data);
	check(info.start_brk == value[47], "start_brk is %lx", info.start_brk);
}

static void test_brk_follows_sbrk(void)
{
	unsigned long before = (unsigned long)sbrk(0);

	check_call(&info);
	check(info.brk == before, "brk is %lx instead of %lx", info.brk,
	      before);
	check(sbrk(3 * PAGE + 8) != (void *)-1, "sbrk failed");
	check_call(&info);
	check(info.brk == before + 3 * PAGE + 8, "brk is %lx, %lx before",
	      info.brk, before);
	check_areas();
}

/*
 * A static program's first mapping is the highest of all: it ends at mmap_base,
 * but for the legacy layout, in which mmap() looks for room from there upwards
 */
static void test_mmap_base(void)
{
	char *first = map_memory(PAGE);

	check_call(&info);
	check(info.mmap_base == (unsigned long)first + PAGE,
	      "mmap_base is %lx, the first mapping at %p", info.mmap_base,
	      first);
}

static unsigned long start_of_area_of(unsigned long address)
{
	const char *line = maps.text;
	struct ma_struct area;

	while ((line = maps_next(line, &area))) {
		if (area.vm_start <= address && address < area.vm_end)
			return area.vm_start;
	}
	return 0;
}

static void check_end_stack(void)
{
	unsigned long start;

	check_areas();
	start = start_of_area_of(info.start_stack);
	check(start, "no area holds start_stack");
	check(info.end_stack == start, "end_stack is %lx instead of %lx",
	      info.end_stack, start);
}

static void test_end_stack(void)
{
	unsigned long before;

	check_end_stack();
	before = info.end_stack;
	/* The stack grows to where it is touched */
	*(volatile char *)(before - PAGE) = 1;
	check_end_stack();
	check(info.end_stack < before, "end_stack is still %lx",
	      info.end_stack);
}

static void test_stack_in_two_areas(void)
{
	unsigned long before;

	check_call(&info);
	before = info.end_stack;
	check(!mprotect((void *)before, PAGE, PROT_READ),
	      "cannot protect a page of the stack");
	check_end_stack();
	check(info.end_stack == before + PAGE,
	      "end_stack is %lx instead of %lx", info.end_stack, before + PAGE);
}

/* Bad pointers */

static void test_null(void)
{
	check_fault(NULL, "NULL");
}

static void test_kernel_pointers(void)
{
	check_fault((void *)0xffffffff81000000, "kernel text");
	check_fault((void *)0xffff888000000000, "direct map");
	check_fault((void *)0x0000800000000000,
		    "first address that is no user's");
	check_fault((void *)0x00007ffffffff000, "last page, which is nobody's");
	check_fault((void *)-sizeof(struct segment_info), "last bytes of all");
	check_fault((void *)-8L, "end behind the last byte of all");
}

static void test_unmapped(void)
{
	char *memory = map_memory(PAGE);

	check_call((void *)memory);
	check(!munmap(memory, PAGE), "cannot unmap");
	check_fault(memory, "unmapped");
	check_fault((char *)NULL + PAGE, "page one");
}

static void test_read_only(void)
{
	char *memory = map_memory(PAGE);

	memset(memory, POISON, PAGE);
	check(!mprotect(memory, PAGE, PROT_READ), "cannot protect");
	check_fault(memory, "read-only");
	for (size_t i = 0; i < PAGE; i++)
		check((unsigned char)memory[i] == POISON,
		      "byte %zu was written", i);
	check_fault("a constant", "constant of the program");
}

static void test_half_mapped(void)
{
	char *memory = map_memory(2 * PAGE);
	char *across = memory + PAGE - sizeof(struct segment_info) / 2;

	/* Both halves are there, and any alignment will do */
	check_call((void *)across);
	check_call((void *)(across + 1));
	check(!munmap(memory + PAGE, PAGE), "cannot unmap");
	check_fault(across, "second half unmapped");
	check_fault(memory + PAGE - 1, "all but one byte unmapped");
	check_fault(memory + PAGE - sizeof(struct segment_info) + 1,
		    "one byte unmapped");

	memory = map_memory(2 * PAGE);
	check(!munmap(memory, PAGE), "cannot unmap");
	check_fault(memory + PAGE - sizeof(struct segment_info) / 2,
		    "first half unmapped");
}

/* Every byte of the struct and no other */

static void test_every_byte_written(void)
{
	static struct segment_info once, again;
	struct segment_info *to[] = { &once, &again };

	memset(&once, POISON, sizeof(once));
	memset(&again, ~POISON, sizeof(again));
	/* Called from one place, so that thread_sp is the same */
	for (int i = 0; i < 2; i++)
		check_call(to[i]);
	for (size_t i = 0; i < sizeof(once); i++)
		check(((char *)&once)[i] == ((char *)&again)[i],
		      "byte %zu was not written", i);
}

static void test_padding_is_zero(void)
{
	static const struct ma_struct zero;

	memset(&info, POISON, sizeof(info));
	check_call(&info);
	check(info.ma_size && info.ma_size < SEGMENT_INFO_MAX_AREAS,
	      "%lu areas", info.ma_size);
	for (size_t i = 0; i < info.ma_size; i++) {
		const char *name = info.ma[i].name;

		for (size_t j = strnlen(name, sizeof(zero.name) - 1);
		     j < sizeof(zero.name); j++)
			check(!name[j], "area %zu: byte %zu of the name is %x",
			      i, j, name[j]);
	}
	for (size_t i = info.ma_size; i < SEGMENT_INFO_MAX_AREAS; i++)
		check(!memcmp(&info.ma[i], &zero, sizeof(zero)),
		      "unused area %zu not zero", i);
}

static void test_guard_page(void)
{
	struct segment_info *to = guarded();

	check_call(to);
	check_untouched_before(to);
}

/* How many areas */

/* Single pages with a hole on both sides: each is one more area */
static void have_areas(size_t want)
{
	size_t have;
	char *hole;

	check(maps_read(&maps), "cannot read /proc/self/maps");
	have = maps_count(&maps);
	check(have <= want, "there are %zu areas already", have);
	hole = map(NULL, (2 * want + 1) * PAGE, PROT_NONE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1);
	check(!munmap(hole, (2 * want + 1) * PAGE), "cannot unmap");
	for (size_t i = 0; have < want; i++, have++)
		map(hole + (2 * i + 1) * PAGE, PAGE, PROT_READ,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1);
	check(maps_read(&maps) && maps_count(&maps) == want,
	      "made %zu areas, not %zu", maps_count(&maps), want);
}

static void check_count(size_t areas, size_t given)
{
	struct segment_info *to = guarded();
	char why[256];

	have_areas(areas);
	check(segment_info_still(to, &maps) == gettid(), "call failed");
	check(maps_count(&maps) == areas, "%zu areas by now",
	      maps_count(&maps));
	check(maps_compare(&maps, to, why, sizeof(why)), "%s", why);
	check(to->ma_size == given, "ma_size is %lu instead of %zu",
	      to->ma_size, given);
	check_untouched_before(to);
}

static void test_few_areas(void)
{
	check_areas();
	check(info.ma_size == maps_count(&maps), "ma_size is %lu",
	      info.ma_size);
}

static void test_23_areas(void)
{
	check_count(23, 23);
}

static void test_24_areas(void)
{
	check_count(24, 24);
}

static void test_25_areas(void)
{
	check_count(25, 24);
}

static void test_1000_areas(void)
{
	check_count(1000, 24);
}

/* Names */

/* Into a new folder with a short name; leave_folder() removes it */
static void enter_folder(char path[16])
{
	strcpy(path, "/tmp/lab.XXXXXX");
	check(mkdtemp(path) && !chdir(path), "cannot make a folder in /tmp");
}

static void leave_folder(const char *path)
{
	check(!chdir("/") && !rmdir(path), "cannot remove %s", path);
}

static void *map_file(const char *name)
{
	int fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
	void *memory;

	check(fd >= 0, "cannot create %s", name);
	memory = map(NULL, PAGE, PROT_READ, MAP_SHARED, fd);
	close(fd);
	return memory;
}

/* By the last 23 bytes of @want, and as in maps */
static void check_name(const void *memory, const char *want)
{
	size_t length = strlen(want);

	if (length > SEGMENT_INFO_NAME_LEN - 1)
		want += length - (SEGMENT_INFO_NAME_LEN - 1);
	check_areas();
	for (size_t i = 0; i < info.ma_size; i++) {
		if (info.ma[i].vm_start == (unsigned long)memory) {
			check(!strcmp(info.ma[i].name, want),
			      "name \"%s\" instead of \"%s\"", info.ma[i].name,
			      want);
			return;
		}
	}
	check(false, "no area at %p", memory);
}

static void test_names_of_any_length(void)
{
	static const size_t lengths[] = { 17, 22,  23,	24,  25,
					  40, 100, 255, 256, 271 };
	char folder[16], path[272], *file;

	enter_folder(folder);
	file = path + sprintf(path, "%s/", folder);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		void *memory;

		for (char *at = file; at < path + lengths[i]; at++)
			*at = "0123456789"[(at - path) % 10];
		path[lengths[i]] = '\0';
		memory = map_file(path);
		check_name(memory, path);
		check(!munmap(memory, PAGE) && !unlink(path),
		      "cannot remove %s", path);
	}
	leave_folder(folder);
}

static void test_deleted_file(void)
{
	char folder[16], want[64];
	void *memory;

	enter_folder(folder);
	memory = map_file("gone");
	check(!unlink("gone"), "cannot remove the file");
	snprintf(want, sizeof(want), "%s/gone (deleted)", folder);
	check_name(memory, want);
	leave_folder(folder);
}

static void test_newline_in_name(void)
{
	char folder[16], want[64];

	enter_folder(folder);
	snprintf(want, sizeof(want), "%s/two\\012lines", folder);
	check_name(map_file("two\nlines"), want);
	check(!unlink("two\nlines"), "cannot remove the file");
	leave_folder(folder);
}

/* A path that no system call would take, but that folders within folders make */
static void test_path_over_4096(void)
{
	static const char file[] = "at the end of a very long path";
	char folder[16], name[256] = { 0 };
	const int depth = 20;

	enter_folder(folder);
	memset(name, 'd', 255);
	for (int i = 0; i < depth; i++)
		check(!mkdir(name, 0700) && !chdir(name),
		      "cannot make folder %d", i);
	check_name(map_file(file), file);
	check(strlen(maps.text) > depth * sizeof(name),
	      "no path over 4,096 bytes in maps");
	check(!unlink(file), "cannot remove the file");
	for (int i = 0; i < depth; i++)
		check(!chdir("..") && !rmdir(name), "cannot remove folder %d",
		      i);
	leave_folder(folder);
}

static void test_names_without_file(void)
{
	int fd = memfd_create("a name only for looks", 0);

	check(fd >= 0, "memfd_create failed");
	check_name(map(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1),
		   "");
	check_name(map(NULL, PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1),
		   "/dev/zero (deleted)");
	check_name(map(NULL, PAGE, PROT_READ, MAP_SHARED, fd),
		   "/memfd:a name only for looks (deleted)");
}

/* The heap in three pieces is called [heap] three times */
static void test_heap_in_three_areas(void)
{
	char *heap = sbrk(0);
	int pieces = 0;

	heap += -(unsigned long)heap % PAGE;
	check(sbrk(4 * PAGE) != (void *)-1, "sbrk failed");
	check(!mprotect(heap, PAGE, PROT_READ), "cannot protect");
	check_areas();
	for (size_t i = 0; i < info.ma_size; i++)
		pieces += !strcmp(info.ma[i].name, "[heap]");
	check(pieces == 3, "%d areas are called [heap]", pieces);
}

static void test_given_name(void)
{
	void *memory = map_memory(PAGE);

	if (prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, memory, PAGE, "mine")) {
		check(errno == EINVAL, "prctl(PR_SET_VMA) failed");
		tap_note("Linux can name anonymous memory since 5.17");
		exit(TAP_SKIP);
	}
	check_name(memory, "[anon:mine]");
}

/* While other threads map and unmap */

#define MAPPERS 8
#define CALLERS 4
#define CALLS 200
#define SLOTS 64

/* SLOTS single pages in which the mappers work */
static char *window;
/* The answer before they start */
static struct segment_info quiet;
/* Atomic: they shall end */
static bool done;

static void *mapper(void *seed)
{
	unsigned int random = (unsigned long)seed;

	while (!__atomic_load_n(&done, __ATOMIC_RELAXED)) {
		char *page = window + rand_r(&random) % SLOTS * PAGE;

		if (rand_r(&random) % 2)
			map(page, PAGE,
			    rand_r(&random) % 2 ? PROT_READ : PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1);
		else
			check(!munmap(page, PAGE), "cannot unmap");
	}
	return NULL;
}

/* What holds at every moment, whatever is mapped */
static void check_sane(const struct segment_info *got)
{
	const struct ma_struct *ma = got->ma;
	unsigned long behind = 0;

	check(got->ma_size <= SEGMENT_INFO_MAX_AREAS, "ma_size is %lu",
	      got->ma_size);
	for (size_t i = 0; i < got->ma_size; behind = ma[i++].vm_end) {
		check(ma[i].vm_start >= behind,
		      "area %zu overlaps the one before", i);
		check(ma[i].vm_start < ma[i].vm_end, "area %zu is empty", i);
		check(!((ma[i].vm_start | ma[i].vm_end) % PAGE),
		      "area %zu: not whole pages", i);
	}
	for (size_t i = 0;
	     i < quiet.ma_size && quiet.ma[i].vm_start < quiet.brk; i++)
		check(!memcmp(&ma[i], &quiet.ma[i], sizeof(*ma)),
		      "area %zu has changed", i);
	check(!memcmp(got, &quiet, offsetof(struct segment_info, thread_sp)),
	      "a boundary moved");
}

static void *caller(void *unused)
{
	for (int i = 0; i < CALLS; i++) {
		struct segment_info here;

		memset(&here, POISON, sizeof(here));
		check_call(&here);
		check_sane(&here);
	}
	return unused;
}

static void test_while_others_map(void)
{
	pthread_t mappers[MAPPERS], callers[CALLERS];

	window = map(NULL, SLOTS * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		     -1);
	check_call(&quiet);
	for (long i = 0; i < MAPPERS; i++)
		check(!pthread_create(&mappers[i], NULL, mapper,
				      (void *)(i + 1)),
		      "no thread");
	for (int i = 0; i < CALLERS; i++)
		check(!pthread_create(&callers[i], NULL, caller, NULL),
		      "no thread");
	for (int i = 0; i < CALLERS; i++)
		pthread_join(callers[i], NULL);
	__atomic_store_n(&done, true, __ATOMIC_RELAXED);
	for (int i = 0; i < MAPPERS; i++)
		pthread_join(mappers[i], NULL);
	check_areas();
}

/*
 * While the stack grows: the page fault holds the mmap lock for reading only, so
 * it does not wait for the call, which has to read each address just once.
 */

#define GROWTH (32UL << 20)

static void *check_stack_area(void *unused)
{
	while (!__atomic_load_n(&done, __ATOMIC_RELAXED)) {
		const struct ma_struct *last;
		struct segment_info here;

		check_call(&here);
		last = &here.ma[here.ma_size - 1];
		while (strcmp(last->name, "[stack]"))
			check(last-- > here.ma, "no area is called [stack]");
		check(here.end_stack == last->vm_start,
		      "end_stack is %lx, but [stack] starts at %lx",
		      here.end_stack, last->vm_start);
	}
	return unused;
}

static void test_while_stack_grows(void)
{
	struct rlimit room = { 2 * GROWTH, 2 * GROWTH };
	pthread_t thread;
	char *top;

	check(!setrlimit(RLIMIT_STACK, &room), "cannot raise the limit");
	check_call(&info);
	top = (char *)info.end_stack;
	check(!pthread_create(&thread, NULL, check_stack_area, NULL),
	      "no thread");
	for (size_t size = PAGE; size < GROWTH; size += PAGE)
		*(volatile char *)(top - size) = 1;
	__atomic_store_n(&done, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
}

static const struct test {
	const char *claim;
	void (*run)(void);
} tests[] = {
	{ "the main thread gets its thread id", test_id_of_main_thread },
	{ "another thread gets its thread id", test_id_of_thread },
	{ "thread_sp is the stack pointer of the calling thread",
	  test_thread_sp },
	{ "code, data, heap and stack start and end as in /proc/self/stat",
	  test_boundaries },
	{ "brk follows sbrk()", test_brk_follows_sbrk },
	{ "mmap_base is where the first mapping ends", test_mmap_base },
	{ "end_stack is where the stack's area starts", test_end_stack },
	{ "end_stack with the stack in two areas", test_stack_in_two_areas },
	{ "EFAULT for NULL", test_null },
	{ "EFAULT for addresses no user can have", test_kernel_pointers },
	{ "EFAULT for unmapped memory", test_unmapped },
	{ "EFAULT for read-only memory", test_read_only },
	{ "EFAULT for memory that is half there", test_half_mapped },
	{ "every byte of the struct is written", test_every_byte_written },
	{ "names and unused areas are filled up with zeros",
	  test_padding_is_zero },
	{ "no byte beside the struct is touched", test_guard_page },
	{ "few areas: all of them, as in /proc/self/maps", test_few_areas },
	{ "23 areas: all of them", test_23_areas },
	{ "24 areas: all of them", test_24_areas },
	{ "25 areas: the first 24", test_25_areas },
	{ "1,000 areas: the first 24", test_1000_areas },
	{ "paths of 17 to 271 bytes keep their last 23",
	  test_names_of_any_length },
	{ "the name of a deleted file says so", test_deleted_file },
	{ "a newline in a name is written as \\012", test_newline_in_name },
	{ "a path of over 4,096 bytes keeps its last 23", test_path_over_4096 },
	{ "names of memory that is in no file", test_names_without_file },
	{ "each piece of the heap is called [heap]", test_heap_in_three_areas },
	{ "the name given with prctl()", test_given_name },
	{ "8 threads map and unmap while 4 call", test_while_others_map },
	{ "end_stack and [stack] agree while it grows",
	  test_while_stack_grows },
};

/* In a child: what a test maps, protects or breaks is gone with it */
static void run(const struct test *test)
{
	pid_t child = fork();
	int status;

	if (!child) {
		alarm(TEST_SECONDS); /* a test that hangs has failed */
		test->run();
		exit(TAP_PASS);
	}
	if (child < 0 || waitpid(child, &status, 0) != child) {
		tap_note("cannot start a process: %s", strerror(errno));
		status = -1;
	} else if (WIFSIGNALED(status)) {
		tap_note("ended by signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == TAP_SKIP)
		tap_skip(test->claim, "this kernel cannot");
	else
		tap_result(WIFEXITED(status) && WEXITSTATUS(status) == TAP_PASS,
			   test->claim);
}

int main(void)
{
	const size_t count = sizeof(tests) / sizeof(tests[0]);

	if (segment_info(&info) < 0 && errno == ENOSYS)
		tap_skip_all("this kernel has no segment_info()");
	tap_begin(count);
	for (size_t i = 0; i < count; i++)
		run(&tests[i]);
	return tap_end();
}
