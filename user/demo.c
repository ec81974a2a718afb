// SPDX-License-Identifier: GPL-2.0-only
/*
 * demo - three threads ask the kernel how their memory is laid out
 *
 * A process has one memory layout. Its threads share the code, the data, the
 * heap and what was mapped; each has only its stack for itself. So all three
 * threads print the same areas, and each finds its stack object in another one.
 *
 * The answers are compared with /proc/self/maps, in which the kernel describes
 * the same areas as text.
 */
#include "lab.h"
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define THREADS 3
#define PAGE 4096

/*
 * One object of each kind. The linker puts what has a value into the program's
 * file (data); of what starts as zero it only records the size (bss).
 * The bss object is three pages, so that its middle is in no page of the file.
 */
static void code_object(void)
{
}

/* The linker's name for the first byte of the program */
extern const char __ehdr_start;

static const char constant_object[] = "constants are mapped read-only";
static int data_object = 1;
static char bss_object[3 * PAGE];
static void *heap_object;
static void *mmap_object;

/* Each thread's stack object, and its thread id once it has called */
static const void *stack_object[THREADS];
static pid_t thread_id[THREADS];

static pthread_barrier_t barrier;
static bool failed;

/*
 * The text of the thread whose turn it is. It goes out with one write(), so
 * that nothing comes between its lines.
 */
static char text[16 * 1024];
static size_t text_length;

static __printf(1, 2) void say(const char *format, ...)
{
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(text + text_length, sizeof(text) - text_length,
			   format, args);
	va_end(args);
	if (length < 0 || text_length + length >= sizeof(text)) {
		fprintf(stderr,
			"demo: text[] is too small: make it larger in user/demo.c\n");
		exit(1);
	}
	text_length += length;
}

static void say_it_now(void)
{
	size_t done = 0;

	while (done < text_length) {
		ssize_t wrote =
			write(STDOUT_FILENO, text + done, text_length - done);

		if (wrote < 0) {
			perror("demo: cannot write");
			exit(1);
		}
		done += wrote;
	}
	text_length = 0;
}

static bool holds(const struct ma_struct *area, const void *object)
{
	unsigned long address = (unsigned long)object;

	return area->vm_start <= address && address < area->vm_end;
}

static void say_object(const struct segment_info *info, const char *what,
		       const void *object)
{
	say("  %-6s 0x%012lx", what, (unsigned long)object);
	for (size_t i = 0; i < info->ma_size; i++) {
		if (holds(&info->ma[i], object))
			say("  in area %zu", i);
	}
	say("\n");
}

/* The lowest page of a thread's stack is a guard page: touching it kills the process */
static bool is_guard(const struct segment_info *info,
		     const struct ma_struct *area)
{
	for (int thread = 1; thread < THREADS; thread++) {
		for (size_t i = 0; i < info->ma_size; i++) {
			if (info->ma[i].vm_start == area->vm_end &&
			    holds(&info->ma[i], stack_object[thread]))
				return true;
		}
	}
	return false;
}

/* Say what @area holds: the known objects in it, else what its neighbours tell */
static void say_what(const struct segment_info *info,
		     const struct ma_struct *area, int me)
{
	const struct {
		const char *what;
		const void *object;
	} known[] = {
		{ "program header", &__ehdr_start },
		{ "text", (const void *)code_object },
		{ "constants", constant_object },
		{ "data", &data_object },
		{ "bss", &bss_object[PAGE] },
		{ "heap", heap_object },
		{ "mmap region", mmap_object },
	};
	const char *separator = "";

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (holds(area, known[i].object)) {
			say("%s%s", separator, known[i].what);
			separator = ", ";
		}
	}
	for (int thread = 0; thread < THREADS; thread++) {
		if (!holds(area, stack_object[thread]))
			continue;
		if (thread == me)
			say("%sthis thread's stack", separator);
		else
			say("%sstack of thread %d", separator,
			    thread_id[thread]);
		separator = ", ";
	}
	if (*separator)
		return;

	if (!strcmp(area->name, "[vdso]"))
		say("kernel code for user mode");
	else if (!strcmp(area->name, "[vvar]"))
		say("kernel data for that code");
	else if (holds(area, (const void *)info->start_data))
		say("data, constant once started");
	else if (is_guard(info, area))
		say("guard page of the next stack");
	else if (!*area->name)
		say("mmap region");
	else
		say("mapped file");
}

static void say_area(const struct segment_info *info, size_t number, int me)
{
	const struct ma_struct *area = &info->ma[number];
	int width = 30;
	size_t start;

	say("  %2zu 0x%012lx-0x%012lx %5lu KiB  ", number, area->vm_start,
	    area->vm_end, (area->vm_end - area->vm_start) / 1024);
	start = text_length;
	say_what(info, area, me);
	if (*area->name)
		say("%*s%s", width - (int)(text_length - start), " ",
		    area->name);
	say("\n");
}

static void say_layout(const struct segment_info *info, int me)
{
	say_object(info, "code", (const void *)code_object);
	say_object(info, "data", &data_object);
	say_object(info, "bss", &bss_object[PAGE]);
	say_object(info, "heap", heap_object);
	say_object(info, "mmap", mmap_object);
	say_object(info, "stack", stack_object[me]);

	say("  code from 0x%lx to 0x%lx\n", info->start_code, info->end_code);
	say("  data from 0x%lx to 0x%lx\n", info->start_data, info->end_data);
	say("  heap from 0x%lx to 0x%lx\n", info->start_brk, info->brk);
	say("  process stack from 0x%lx down to 0x%lx\n", info->start_stack,
	    info->end_stack);
	say("  stack pointer of this thread 0x%lx\n", info->thread_sp);
	say("  room for mmap %s 0x%lx\n",
	    (unsigned long)mmap_object < info->mmap_base ? "below" : "above",
	    info->mmap_base);

	for (size_t i = 0; i < info->ma_size; i++)
		say_area(info, i, me);
}

/* One thread's turn */
static void report(int me)
{
	static struct segment_info info;
	static struct maps maps;
	char why[256];
	long id;

	id = segment_info_still(&info, &maps);
	if (id < 0) {
		complain_no_call("demo");
		exit(1);
	}
	say("thread %ld, %s\n", id,
	    me ? "started by the main thread" : "the main thread");
	say_layout(&info, me);
	if (id != thread_id[me]) {
		say("thread %ld: WRONG, gettid() says %d\n", id, thread_id[me]);
		failed = true;
	} else if (!maps_compare(&maps, &info, why, sizeof(why))) {
		say("thread %ld: WRONG, %s\n", id, why);
		failed = true;
	} else {
		say("thread %ld: %lu areas, all as in /proc/self/maps\n", id,
		    info.ma_size);
	}
	say_it_now();
}

static void *thread_main(void *argument)
{
	int me = (int)(long)argument;
	char object = 0;

	stack_object[me] = &object;
	thread_id[me] = gettid();
	pthread_barrier_wait(&barrier); /* now all stacks are there */

	/* One after the other, while the others wait and change nothing */
	for (int turn = 0; turn < THREADS; turn++) {
		if (turn == me)
			report(me);
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS];

	heap_object = malloc(64);
	/*
	 * Read-only: the kernel makes one area of neighbours that are alike, and
	 * the stack of a thread, mapped next to this one, can be written.
	 */
	mmap_object = mmap(NULL, 4 * PAGE, PROT_READ,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!heap_object || mmap_object == MAP_FAILED) {
		perror("demo: no memory");
		return 1;
	}

	pthread_barrier_init(&barrier, NULL, THREADS);
	for (long i = 1; i < THREADS; i++) {
		if (pthread_create(&threads[i], NULL, thread_main, (void *)i)) {
			fprintf(stderr, "demo: cannot start a thread\n");
			return 1;
		}
	}
	thread_main((void *)0); /* the main thread is one of the three */
	for (int i = 1; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	return failed;
}
