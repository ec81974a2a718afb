// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the guest's programs share. Described in lab.h.
 */
#include "lab.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

long segment_info(struct segment_info *info)
{
	return syscall(SEGMENT_INFO_NR, info);
}

void complain_no_call(const char *program)
{
	if (errno == ENOSYS)
		fprintf(stderr,
			"%s: this kernel has no segment_info(): boot the lab's with 'make boot'\n",
			program);
	else
		fprintf(stderr, "%s: segment_info() failed: %s\n", program,
			strerror(errno));
}

bool maps_read(struct maps *maps)
{
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	ssize_t got = 1;

	if (fd < 0)
		return false;
	maps->length = 0;
	while (got > 0 && maps->length < sizeof(maps->text) - 1) {
		got = read(fd, maps->text + maps->length,
			   sizeof(maps->text) - 1 - maps->length);
		if (got > 0)
			maps->length += got;
	}
	close(fd);
	maps->text[maps->length] = '\0';
	if (got > 0)
		errno = EFBIG;
	return got == 0;
}

/* The last 23 bytes of a name, padded with NULs: what segment_info() promises */
static void put_name(char name[SEGMENT_INFO_NAME_LEN], const char *start,
		     const char *end)
{
	if (end - start > SEGMENT_INFO_NAME_LEN - 1)
		start = end - (SEGMENT_INFO_NAME_LEN - 1);
	memset(name, 0, SEGMENT_INFO_NAME_LEN);
	memcpy(name, start, end - start);
}

/* A line: "start-end flags offset device inode", spaces, and the name if there is one */
const char *maps_next(const char *line, struct ma_struct *area)
{
	while (*line) {
		const char *end = line + strcspn(line, "\n");
		const char *name;
		char *at;

		area->vm_start = strtoul(line, &at, 16);
		area->vm_end = strtoul(at + 1, &at, 16);
		name = at;
		for (int field = 0; field < 4; field++) {
			name += strspn(name, " ");
			name += strcspn(name, "\n ");
		}
		name += strspn(name, " ");
		put_name(area->name, name, end);

		line = *end ? end + 1 : end;
		if (strcmp(area->name, "[vsyscall]"))
			return line;
	}
	return NULL;
}

size_t maps_count(const struct maps *maps)
{
	const char *line = maps->text;
	struct ma_struct area;
	size_t count = 0;

	while ((line = maps_next(line, &area)))
		count++;
	return count;
}

long segment_info_still(struct segment_info *info, struct maps *maps)
{
	static struct maps after;

	for (int tries = 0; tries < 100; tries++) {
		long ret;

		if (!maps_read(maps))
			return -1;
		ret = segment_info(info);
		if (ret < 0)
			return ret;
		if (!maps_read(&after))
			return -1;
		if (maps->length == after.length &&
		    !memcmp(maps->text, after.text, after.length))
			return ret;
	}
	errno = EAGAIN;
	return -1;
}

static void complain_area(char *why, size_t size, size_t number,
			  const struct ma_struct *got,
			  const struct ma_struct *want)
{
	snprintf(why, size, "area %zu is %lx-%lx %.24s, in maps %lx-%lx %s",
		 number, got->vm_start, got->vm_end, got->name, want->vm_start,
		 want->vm_end, want->name);
}

bool maps_compare(const struct maps *maps, const struct segment_info *info,
		  char *why, size_t size)
{
	static const struct ma_struct zero;
	const char *line = maps->text;
	struct ma_struct want;
	size_t count = 0;

	for (; count < SEGMENT_INFO_MAX_AREAS; count++) {
		const struct ma_struct *ma = &info->ma[count];

		line = maps_next(line, &want);
		if (!line)
			break;
		if (memcmp(ma, &want, sizeof(want))) {
			complain_area(why, size, count, ma, &want);
			return false;
		}
	}
	if (info->ma_size != count) {
		snprintf(why, size,
			 "ma_size is %lu, but maps has %zu areas for it",
			 info->ma_size, count);
		return false;
	}
	for (; count < SEGMENT_INFO_MAX_AREAS; count++) {
		if (memcmp(&info->ma[count], &zero, sizeof(zero))) {
			snprintf(why, size, "area %zu is unused but not zero",
				 count);
			return false;
		}
	}
	return true;
}
