/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FAULT_SAY_H
#define FAULT_SAY_H

/*
 * What the programs of test_trace_fault.py share: they print in advance, on the
 * console, which faults will come, and what the kernel has counted.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "say.h"

#define PAGE 4096UL
#define HUGE_PAGE (512 * PAGE)
#define RW (PROT_READ | PROT_WRITE)
#define PRIVATE (MAP_PRIVATE | MAP_ANONYMOUS)

typedef volatile char memory_t;

static inline memory_t *map(size_t size, int prot, int flags, int fd)
{
	void *found = mmap(NULL, size, prot, flags, fd, 0);

	must(found != MAP_FAILED, "mmap");
	return found;
}

/* The faults that the kernel has counted for this thread */
static inline void counters(long *minor, long *major)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	*minor = usage.ru_minflt;
	*major = usage.ru_majflt;
}

#endif /* FAULT_SAY_H */
