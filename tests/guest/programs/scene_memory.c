// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory - one area of each kind: backings, rights, advice, and what pages hold
 */
#include "scene.h"
#include <sys/ipc.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

#define R PROT_READ
#define RW (PROT_READ | PROT_WRITE)
#define ANONYMOUS (MAP_PRIVATE | MAP_ANONYMOUS)

/* Map four pages, and write to the first and the third */
static char *touched(int prot, int flags, int fd)
{
	char *memory = scene_map(NULL, 4 * PAGE, prot, flags, fd, 0);

	if (prot & PROT_WRITE) {
		memory[0] = 1;
		memory[2 * PAGE] = 1;
	}
	return memory;
}

static void of_files(void)
{
	int fd = scene_file("/tmp/shared", 8);
	char *memory;

	touched(RW, MAP_SHARED, fd);
	touched(R, MAP_SHARED, fd);
	touched(RW, MAP_PRIVATE, fd);
	memory = scene_map(NULL, 2 * PAGE, R, MAP_PRIVATE, fd, 5 * PAGE);
	scene_check(memory[PAGE] == 6, "read a mapped file");
	scene_map(NULL, 3 * PAGE, R | PROT_EXEC, MAP_PRIVATE, fd, 0);
	scene_map(NULL, 4 * PAGE, R, MAP_SHARED, fd, 6 * PAGE); /* two beyond its end */
	close(fd);

	fd = scene_file("/tmp/deleted", 4);
	touched(RW, MAP_SHARED, fd);
	scene_check(!unlink("/tmp/deleted"), "delete a file");
	close(fd);

	fd = scene_file("/tmp/read only", 2);
	close(fd);
	fd = open("/tmp/read only", O_RDONLY);
	scene_map(NULL, 2 * PAGE, R, MAP_SHARED, fd, 0); /* loses VM_MAYWRITE */
	close(fd);
}

static void shared(void)
{
	int fd = memfd_create("of the scene", 0), id;

	touched(RW, MAP_SHARED | MAP_ANONYMOUS, -1);
	scene_check(fd >= 0 && !ftruncate(fd, 4 * PAGE), "make a memfd");
	touched(RW, MAP_SHARED, fd);
	close(fd);

	fd = open("/dev/zero", O_RDWR);
	touched(RW, MAP_SHARED, fd);
	touched(RW, MAP_PRIVATE, fd);
	close(fd);

	id = shmget(IPC_PRIVATE, 4 * PAGE, IPC_CREAT | 0600);
	scene_check(id >= 0 && (long)shmat(id, NULL, 0) != -1, "attach shared memory");
	scene_check(!shmctl(id, IPC_RMID, NULL), "remove shared memory");
	id = shmget(0x1ab, 4 * PAGE, IPC_CREAT | 0600);
	scene_check(id >= 0 && (long)shmat(id, NULL, SHM_RDONLY) != -1, "attach shared memory");

	fd = open("/dev/mem", O_RDONLY);
	scene_check(fd >= 0, "open /dev/mem");
	scene_map(NULL, PAGE, R, MAP_SHARED, fd, 0xfee00000); /* the local APIC, which is not RAM */
	close(fd);
}

static void rights(void)
{
	char *memory = touched(RW, ANONYMOUS, -1);

	scene_check(!mprotect(memory, 2 * PAGE, PROT_NONE), "forbid a page"); /* present before */
	memory = touched(RW, ANONYMOUS, -1);
	scene_check(!mprotect(memory, 4 * PAGE, R), "protect a page");
	scene_map(NULL, PAGE, PROT_NONE, ANONYMOUS, -1, 0);
	scene_map(NULL, PAGE, PROT_EXEC, ANONYMOUS, -1, 0);
	scene_map(NULL, PAGE, RW | PROT_EXEC, ANONYMOUS, -1, 0);
	memory = scene_map(NULL, PAGE, R, ANONYMOUS, -1, 0);
	scene_check(!memory[0], "read the zero page");
	scene_map(NULL, 1UL << 36, RW, ANONYMOUS | MAP_NORESERVE, -1, 0)[1UL << 35] = 1;
	scene_map(NULL, PAGE, RW, ANONYMOUS | MAP_GROWSDOWN | MAP_STACK, -1, 0);
}

static void advice(void)
{
	static const int kinds[] = {
		MADV_RANDOM, MADV_SEQUENTIAL, MADV_DONTFORK, MADV_DONTDUMP,
		MADV_WIPEONFORK, MADV_HUGEPAGE, MADV_NOHUGEPAGE,
	};
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	char *memory;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		memory = touched(RW, ANONYMOUS, -1);
		scene_check(!madvise(memory, 4 * PAGE, kinds[i]), "give advice");
	}
	setrlimit(RLIMIT_MEMLOCK, &all);
	scene_check(!mlock(touched(RW, ANONYMOUS, -1), 4 * PAGE), "lock memory");
	scene_check(!mlock2(touched(RW, ANONYMOUS, -1), 4 * PAGE, MLOCK_ONFAULT), "lock memory");

	/* Not on kernels before 5.17, and not without CONFIG_ANON_VMA_NAME */
	memory = touched(RW, ANONYMOUS, -1);
	prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, memory, 4 * PAGE, "given name");
}

/* Pages that two processes share until one writes to them */
static void forked(void)
{
	char *memory = scene_map(NULL, 8 * PAGE, RW, ANONYMOUS, -1, 0);
	int ready[2];
	char byte;

	memset(memory, 5, 8 * PAGE);
	scene_check(!pipe(ready), "make a pipe");
	if (!scene_fork("memory child")) {
		memset(memory, 6, 2 * PAGE);
		scene_check(write(ready[1], "", 1) == 1, "tell the parent");
		scene_sleep();
	}
	scene_check(read(ready[0], &byte, 1) == 1, "wait for the child");
	memset(memory + 4 * PAGE, 7, 2 * PAGE);
}

int main(void)
{
	char *heap = sbrk(20 * PAGE);

	scene_check((long)heap != -1, "grow the heap");
	memset(heap, 1, 5 * PAGE);
	of_files();
	shared();
	rights();
	advice();
	forked();
	scene_ready();
	scene_sleep();
}
