/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef LAB_H
#define LAB_H

/*
 * What the guest's programs share: the system call, and /proc/self/maps to
 * compare its answer with.
 */
#include <stdbool.h>
#include <stddef.h>
#include "segment_info.h"

#define SEGMENT_INFO_NR 451

/* The kernel's short form: gcc checks the arguments as it does printf()'s */
#define __printf(a, b) __attribute__((__format__(printf, a, b)))

/**
 * segment_info() - the system call itself
 * @info: where the kernel shall write
 *
 * Return: the caller's thread id, or -1 with errno set.
 */
long segment_info(struct segment_info *info);

/**
 * complain_no_call() - say on standard error why segment_info() failed
 * @program: the program's name
 *
 * To be called right after the failure, while errno is still its.
 */
void complain_no_call(const char *program);

/* Room for the text of /proc/self/maps: over 1,000 areas, over 4,096 bytes a name */
#define MAPS_ROOM (256 * 1024)

/**
 * struct maps - the text of /proc/self/maps
 * @length: bytes in @text, without the NUL at its end
 * @text: lines
 */
struct maps {
	size_t length;
	char text[MAPS_ROOM];
};

/**
 * maps_read() - read /proc/self/maps without allocating memory
 * @maps: where to
 *
 * Return: false with errno set if it cannot be read, or does not fit.
 */
bool maps_read(struct maps *maps);

/**
 * maps_next() - decode one line
 * @line: start of a line in the text of a struct maps
 * @area: the area of that line as segment_info() has to give it
 *
 * The line of [vsyscall] is passed over: it is a page of the kernel, for which
 * no process has an area.
 *
 * Return: start of the next line, NULL if there was no area left.
 */
const char *maps_next(const char *line, struct ma_struct *area);

/**
 * maps_count() - the number of areas
 * @maps: text to look at
 *
 * Return: how many areas maps_next() would give.
 */
size_t maps_count(const struct maps *maps);

/**
 * segment_info_still() - segment_info() at a moment when no area changes
 * @info: where the kernel shall write
 * @maps: gets /proc/self/maps of that moment
 *
 * The two can only be compared if they describe the same moment. So the file is
 * read before and after the call, until both times it says the same. Only one
 * thread at a time may call this.
 *
 * Return: as segment_info(); -1 with EAGAIN if the areas never stay the same.
 */
long segment_info_still(struct segment_info *info, struct maps *maps);

/**
 * maps_compare() - compare what segment_info() gave with /proc/self/maps
 * @maps: what is right
 * @info: what is to be checked
 * @why: gets one line on the first difference
 * @size: room in @why
 *
 * Return: true if number, addresses and names of the areas are the same and
 * what follows them is zero.
 */
bool maps_compare(const struct maps *maps, const struct segment_info *info,
		  char *why, size_t size);

#endif /* LAB_H */
