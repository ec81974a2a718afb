/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FAULT_TOGETHER_H
#define FAULT_TOGETHER_H

/* Threads that begin their work at the same moment, and their faults. */
#include "fault_say.h"
#include <fcntl.h>
#include <pthread.h>

#define MOST 16

static pthread_t all[MOST];
static pthread_barrier_t barrier;
static long tids[MOST], counted[MOST];

/* Call work() in some threads, with their numbers, from 0 */
static inline void start(unsigned long threads, void *work(void *))
{
	must(threads <= MOST, "so many threads");
	pthread_barrier_init(&barrier, NULL, threads);
	for (unsigned long i = 0; i < threads; i++)
		must(!pthread_create(&all[i], NULL, work, (void *)i), "thread");
}

/* In a thread: wait until all are here */
static inline void begin(unsigned long me)
{
	tids[me] = syscall(SYS_gettid);
	pthread_barrier_wait(&barrier);
}

/* This thread's min_flt and maj_flt from /proc, see proc_pid_stat(5) */
static inline void proc_counters(long *minor, long *major)
{
	char text[512] = "", *rest;
	int fd = open("/proc/thread-self/stat", O_RDONLY);

	must(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0, "/proc/thread-self/stat");
	close(fd);
	rest = strrchr(text, ')');
	must(rest && sscanf(rest, ") %*c %*d %*d %*d %*d %*d %*u %ld %*d %ld", minor,
			    major) == 2, "fields of stat");
}

/* In a thread: its work is done */
static inline void count(unsigned long me)
{
	long minor, major, proc_minor, proc_major;

	proc_counters(&proc_minor, &proc_major); /* the first time it has faults of its own */
	counters(&minor, &major);
	proc_counters(&proc_minor, &proc_major);
	must(minor == proc_minor && major == proc_major, "getrusage() against /proc");
	counted[me] = minor + major;
}

/* Wait for all threads, and print what each has counted */
static inline void say_counted(unsigned long threads)
{
	for (unsigned long i = 0; i < threads; i++)
		must(!pthread_join(all[i], NULL), "join");
	for (unsigned long i = 0; i < threads; i++)
		say("thread %ld %ld\n", tids[i], counted[i]);
}

#endif /* FAULT_TOGETHER_H */
