// SPDX-License-Identifier: GPL-2.0-only
/*
 * witness - keep what /proc says at one moment for a debugger to compare with
 *
 *	witness [SCENE[=ARGUMENT]]...
 *
 * Starts each program /scenes/SCENE and waits until all their processes sleep or
 * are stopped. Then it reads /proc into its memory and calls segment_info(). A
 * debugger that stops in that call finds the kernel as /proc described it: nothing
 * ran in between but the witness itself and threads of the kernel. That is its second
 * call: the first one only sees to it that the second needs no more memory.
 *
 * A scene inherits the writing end of a pipe as descriptor 3 and writes one byte
 * to it once everything it has to show is set up.
 *
 * The address of the snapshot follows the struct segment_info given to the call:
 * see struct testimony.
 */
#include "lab.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_SCENES 64
#define MAX_PROCESSES 4096
#define MAX_TRIES 20
#define READY_FD 3
#define PAGE 4096UL

/* smaps and pagemap are left out for a process with more areas than fit into this */
#define MAX_DETAILED_MAPS (64 * 1024)
/* So many pages of an area, from its start, are looked up in pagemap */
#define MAX_PAGES 4096UL

#define ROOM 0x40000000UL /* of addresses; memory is taken as it is written */

/**
 * struct testimony - what a debugger finds at the address given to segment_info()
 * @info: for the call itself
 * @magic: "witness snapshot"
 * @size: bytes of records
 * @records: each a struct record
 */
static struct testimony {
	struct segment_info info;
	char magic[24];
	unsigned long size;
	const char *records;
} testimony = {
	.magic = "witness snapshot",
};

/**
 * struct record - the contents of a file, or the target of a symbolic link
 * @name: bytes of the name behind this struct; the contents follow the name
 * @error: the errno with which reading ended, 0 if it went well
 * @length: bytes of the contents; zeroes up to a multiple of 8 follow
 */
struct record {
	unsigned int name;
	int error;
	unsigned long length;
};

static struct scene {
	const char *words; /* as given: NAME or NAME=ARGUMENT */
	pid_t pid;
} scenes[MAX_SCENES];

static int scene_count;
static char *room; /* ROOM bytes */
static char *end; /* of what is written into it */

/* What describes a process and, in its task folder, each of its threads */
static const char *const per_thread[] = {
	"comm",	   "stat",	   "status", "statm",  "wchan",		"syscall",
	"stack",   "personality", "limits", "oom_score_adj", NULL,
};

static const char *const per_process[] = {
	"cmdline", "environ", "auxv", "mountinfo", "timerslack_ns", NULL,
};

static const char *const links[] = { "exe", "cwd", "root", NULL };

static const char *const of_the_kernel[] = {
	"/proc/version",      "/proc/cmdline",	   "/proc/kallsyms",	"/proc/iomem",
	"/proc/modules",      "/proc/cpuinfo",	   "/proc/filesystems", "/proc/self/mounts",
	"/proc/stat",	      "/proc/locks",	   "/proc/net/unix",	"/proc/net/tcp",
	NULL,
};

/* Counters of the kernel, which look() itself would change: see add_counters() */
static const char *const counters[] = {
	"/proc/meminfo",  "/proc/zoneinfo",    "/proc/buddyinfo", "/proc/pagetypeinfo",
	"/proc/slabinfo", "/proc/vmallocinfo", "/proc/kpageflags", "/proc/kpagecount", NULL,
};

#define MAX_COUNTERS 16

static void die(const char *what)
{
	fprintf(stderr, "witness: cannot %s: %m\n", what);
	exit(1);
}

/* --- Records ---------------------------------------------------------------- */

static char *contents(struct record *record)
{
	return (char *)(record + 1) + record->name;
}

static struct record *begin(const char *name)
{
	struct record *record = (struct record *)end;

	record->name = strlen(name);
	record->error = 0;
	record->length = 0;
	memcpy(record + 1, name, record->name);
	end = (char *)(record + 1) + record->name;
	return record;
}

static void finish(struct record *record, long got)
{
	record->error = got < 0 ? errno : 0;
	record->length = end - contents(record);
	while ((end - room) % 8) /* with zeroes: who compares records compares these, too */
		*end++ = 0;
	if (end > room + ROOM / 2) {
		errno = EFBIG;
		die("keep so much");
	}
}

static void add_text(const char *name, const char *text)
{
	struct record *record = begin(name);

	end = stpcpy(end, text);
	finish(record, 0);
}

static struct record *add_file(const char *path)
{
	struct record *record = begin(path);
	ssize_t got = -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	while (fd >= 0 && (got = read(fd, end, room + ROOM - end)) > 0)
		end += got;
	finish(record, got);
	if (fd >= 0)
		close(fd);
	return record;
}

static void add_link(const char *path)
{
	struct record *record = begin(path);
	ssize_t got = readlink(path, end, PATH_MAX);

	if (got > 0)
		end += got;
	finish(record, got);
}

static void set(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	if (file) {
		fputs(text, file);
		fclose(file);
	}
}

/*
 * The call allocates memory, which can take a page from the allocator. So make it once
 * before, and stay on this processor: the memory it gave back is there for the next call.
 */
static void warm_up(void)
{
	struct segment_info info;
	cpu_set_t here;

	CPU_ZERO(&here);
	CPU_SET(sched_getcpu(), &here);
	if (sched_setaffinity(0, sizeof(here), &here))
		die("stay on one processor");
	if (segment_info(&info) < 0) {
		complain_no_call("witness");
		exit(1);
	}
	set("/proc/sys/vm/stat_refresh", "1"); /* all CPUs add up their counters now */
}

/*
 * Read what counts the kernel's memory, until it is the same twice. To read it changes
 * nothing any more: the files stay open, with their buffers, and the memory that they
 * are read into was written to before.
 */
static void add_counters(void)
{
	/* two words for each page frame, and as many for holes; then the files of text */
	size_t most = 4 * 8 * sysconf(_SC_PHYS_PAGES) + (1 << 20), size = 0, before;
	char *start = end, *last = malloc(most);
	int fds[MAX_COUNTERS];

	if (!last)
		die("keep the counters of the kernel");
	memset(last, 1, most);
	memset(start, 0, most);
	for (int i = 0; counters[i]; i++)
		fds[i] = open(counters[i], O_RDONLY | O_CLOEXEC);
	for (int tries = 0; tries < 1000; tries++) {
		before = size;
		end = start;
		for (int i = 0; counters[i]; i++) {
			struct record *record = begin(counters[i]);
			ssize_t got = lseek(fds[i], 0, SEEK_SET);

			while (got >= 0 && (got = read(fds[i], end, start + most - end)) > 0)
				end += got;
			finish(record, got);
		}
		if (!tries)
			warm_up(); /* now that the files have all the memory they need */
		size = end - start;
		if (size == before && !memcmp(start, last, size))
			return;
		memcpy(last, start, size);
		usleep(50000); /* what RCU has to give back is given back meanwhile */
	}
	fprintf(stderr, "witness: the counters of the kernel do not come to rest\n");
	exit(1);
}

/* --- Folders ----------------------------------------------------------------- */

static void each_entry(const char *path, void (*visit)(const char *path))
{
	struct dirent **entries;
	int count = scandir(path, &entries, NULL, versionsort);

	for (int i = 0; i < count; i++) {
		char *name = entries[i]->d_name;
		char *inside;

		if (isdigit(name[0])) {
			if (asprintf(&inside, "%s/%s", path, name) < 0)
				die("keep the name of a file");
			visit(inside);
			free(inside);
		}
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
}

static void add_descriptor(const char *path)
{
	char info[64];
	const char *number = strrchr(path, '/');

	add_link(path);
	snprintf(info, sizeof(info), "%.*sinfo%s", (int)(number - path), path, number);
	add_file(info);
}

static void add_files(const char *folder, const char *const *names)
{
	char path[64];

	for (; *names; names++) {
		snprintf(path, sizeof(path), "%s/%s", folder, *names);
		add_file(path);
	}
}

static void add_thread(const char *folder)
{
	add_files(folder, per_thread);
}

/* --- Processes --------------------------------------------------------------- */

/* "PID/pagemap@START" for each line of maps, of at most MAX_PAGES pages */
static void add_pagemap(const char *folder, struct record *maps)
{
	char *behind = contents(maps) + maps->length;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/pagemap", folder);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	for (char *line = contents(maps); fd >= 0 && line < behind;
	     line = strchr(line, '\n') + 1) {
		char *at, name[64];
		unsigned long start = strtoul(line, &at, 16);
		unsigned long pages = (strtoul(at + 1, NULL, 16) - start) / PAGE;
		struct record *record;
		ssize_t got;

		if ((long)start < 0)
			continue; /* the kernel's vsyscall page */
		if (pages > MAX_PAGES)
			pages = MAX_PAGES;
		snprintf(name, sizeof(name), "%s/pagemap@%lx", folder, start);
		record = begin(name);
		got = pread(fd, end, pages * 8, start / PAGE * 8);
		if (got > 0)
			end += got;
		finish(record, got);
	}
	if (fd >= 0)
		close(fd);
}

/* The words of a process's arguments are in its memory: reading them may bring it in */
static void touch_words(const char *folder)
{
	static const char *const words[] = { "cmdline", "environ", NULL };
	char *before = end;

	add_files(folder, words);
	end = before;
}

static void add_process(const char *folder)
{
	struct record *maps;
	char path[64];

	add_files(folder, per_thread);
	add_files(folder, per_process);
	for (const char *const *name = links; *name; name++) {
		snprintf(path, sizeof(path), "%s/%s", folder, *name);
		add_link(path);
	}
	snprintf(path, sizeof(path), "%s/fd", folder);
	each_entry(path, add_descriptor);
	snprintf(path, sizeof(path), "%s/task", folder);
	each_entry(path, add_thread);
	snprintf(path, sizeof(path), "%s/maps", folder);
	maps = add_file(path);
	if (maps->length < MAX_DETAILED_MAPS) {
		snprintf(path, sizeof(path), "%s/smaps", folder);
		add_file(path);
		add_pagemap(folder, maps);
	}
}

/* --- The scenes -------------------------------------------------------------- */

static void start_scene(struct scene *scene, int ready)
{
	char *path, *argument = strchr(scene->words, '=');
	int length = argument ? argument - scene->words : (int)strlen(scene->words);

	if (asprintf(&path, "/scenes/%.*s", length, scene->words) < 0)
		die("keep the name of a scene");
	scene->pid = fork();
	if (!scene->pid) {
		if (ready != READY_FD && dup2(ready, READY_FD) < 0)
			die("hand on the pipe");
		execl(path, path + strlen("/scenes/"), argument ? argument + 1 : NULL, NULL);
		fprintf(stderr, "witness: there is no scene %s in this image: %m\n", path);
		_exit(127);
	}
	free(path);
	if (scene->pid < 0)
		die("start a process");
}

/* Wait until all scenes are ready; a scene that has ended never will be */
static void wait_until_ready(int pipe)
{
	for (int ready = 0; ready < scene_count;) {
		struct pollfd fd = { .fd = pipe, .events = POLLIN };
		char byte;

		if (poll(&fd, 1, 100) > 0 && read(pipe, &byte, 1) == 1)
			ready++;
		for (int i = 0; i < scene_count; i++) {
			int status;

			if (waitpid(scenes[i].pid, &status, WNOHANG) > 0) {
				fprintf(stderr, "witness: scene %s ended with %#x\n",
					scenes[i].words, status);
				exit(1);
			}
		}
	}
}

static bool running; /* a task that each_task() met is running */

/* What changes when a task of /proc/PID/task has run: its times and switches */
static void add_state(const char *folder)
{
	struct record *stat;
	char path[64], *comm;

	snprintf(path, sizeof(path), "%s/status", folder);
	add_file(path);
	snprintf(path, sizeof(path), "%s/stat", folder);
	stat = add_file(path);
	comm = memrchr(contents(stat), ')', stat->length);
	if (comm && comm[2] == 'R')
		running = true;
}

static bool is_of_the_kernel(const char *folder)
{
	char path[64], line[256] = "";
	int fd, parent = 0;
	char *comm;

	snprintf(path, sizeof(path), "%s/stat", folder);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (read(fd, line, sizeof(line) - 1) < 0)
		line[0] = '\0';
	close(fd);
	comm = strrchr(line, ')');
	if (comm)
		sscanf(comm + 1, " %*c %d", &parent);
	return parent == 2 || atoi(line) == 2;
}

static void add_states(const char *folder)
{
	char path[64];

	if (is_of_the_kernel(folder) || atoi(strrchr(folder, '/') + 1) == getpid())
		return;
	snprintf(path, sizeof(path), "%s/task", folder);
	each_entry(path, add_state);
}

/* The states of all tasks but the kernel's and ours, in memory of their own */
static char *task_states(size_t *size)
{
	char *before = end, *copy;

	running = false;
	each_entry("/proc", add_states);
	*size = end - before;
	copy = malloc(*size);
	if (!copy)
		die("keep the states of all tasks");
	memcpy(copy, before, *size);
	end = before;
	return copy;
}

static bool is_settled(void)
{
	size_t before_size, after_size;
	char *before = task_states(&before_size), *after;
	bool same;

	usleep(10000);
	after = task_states(&after_size);
	same = before_size == after_size && !memcmp(before, after, after_size);
	free(before);
	free(after);
	return same && !running;
}

/* --- The testimony ------------------------------------------------------------ */

static void look(void)
{
	end = room;
	for (int i = 0; i < scene_count; i++) {
		char name[300], pid[20];

		snprintf(name, sizeof(name), "scene %s", scenes[i].words);
		snprintf(pid, sizeof(pid), "%d", scenes[i].pid);
		add_text(name, pid);
	}
	for (const char *const *path = of_the_kernel; *path; path++)
		add_file(*path);
	each_entry("/proc", touch_words);
	each_entry("/proc", add_process);
}

/* The first line that changed between two reads, to help find out why */
static void tell_difference(const char *before, size_t before_size, const char *after,
			    size_t after_size)
{
	size_t at = 0, start, size = before_size < after_size ? before_size : after_size;

	if (running)
		fprintf(stderr, "witness: a task is running\n");
	while (at < size && before[at] == after[at])
		at++;
	if (at == size && before_size == after_size)
		return;
	for (start = at; start && isprint(before[start - 1]); start--)
		;
	fprintf(stderr, "witness: before it was \"%.*s\"\n",
		(int)strcspn(before + start, "\n"), before + start);
	fprintf(stderr, "witness: afterwards it is \"%.*s\"\n",
		(int)strcspn(after + start, "\n"), after + start);
}

/* Look around while nothing changes: the states before and after are the same */
static void testify(void)
{
	for (int tries = 0; tries < MAX_TRIES; tries++) {
		size_t before_size, after_size;
		char *before, *after;
		bool same;

		for (int i = 0; i < 500 && !is_settled(); i++)
			;
		end = room;
		before = task_states(&before_size);
		look();
		after = task_states(&after_size);
		same = before_size == after_size && !memcmp(before, after, after_size);
		if (tries == MAX_TRIES - 1 && (!same || running))
			tell_difference(before, before_size, after, after_size);
		free(before);
		free(after);
		if (same && !running)
			return;
	}
	fprintf(stderr, "witness: the scenes do not come to rest\n");
	exit(1);
}

/*
 * Nothing may change page tables behind our back: khugepaged shall look again in 49
 * days only, and fill no holes. A kernel without huge pages has no such files.
 */
static void calm_khugepaged(void)
{
	set("/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs", "4294967295");
	set("/sys/kernel/mm/transparent_hugepage/khugepaged/max_ptes_none", "0");
}

int main(int argc, char **argv)
{
	int ready[2];

	if (argc - 1 > MAX_SCENES) {
		fprintf(stderr, "usage: witness [SCENE[=ARGUMENT]]..., at most %d\n", MAX_SCENES);
		return 2;
	}
	room = mmap(NULL, ROOM, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (room == MAP_FAILED)
		die("take memory");
	end = room;
	if (pipe2(ready, O_CLOEXEC))
		die("make a pipe");
	calm_khugepaged();
	set("/proc/sys/kernel/kptr_restrict", "1"); /* show root addresses, and no hashes */
	set("/proc/sys/vm/stat_interval", "1000000"); /* see warm_up() */
	while (scene_count < argc - 1) {
		scenes[scene_count].words = argv[scene_count + 1];
		start_scene(&scenes[scene_count++], ready[1]);
	}
	wait_until_ready(ready[0]);
	testify();
	add_counters();
	testimony.size = end - room;
	testimony.records = room;

	if (segment_info(&testimony.info) < 0) {
		complain_no_call("witness");
		return 1;
	}
	printf("witness: %d scenes, %lu bytes\n", scene_count, (unsigned long)testimony.size);
	for (int i = 0; i < scene_count; i++)
		kill(scenes[i].pid, SIGKILL);
	return 0;
}
