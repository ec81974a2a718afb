/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FAULT_TOUCH_H
#define FAULT_TOUCH_H

/*
 * Touches that are said before, each on a line
 *	touch ADDRESS read|write|execute user|kernel KIND
 * and memory for huge pages.
 */
#include "fault_say.h"
#include <fcntl.h>

static inline void touch(memory_t *where, const char *access, const char *mode,
			 const char *kind)
{
	say("touch %#lx %s %s %s\n", (unsigned long)where, access, mode, kind);
}

static __attribute__((__noinline__)) void reads(memory_t *where,
						const char *kind)
{
	touch(where, "read", "user", kind);
	(void)*where;
}

static __attribute__((__noinline__)) void writes(memory_t *where,
						 const char *kind)
{
	touch(where, "write", "user", kind);
	*where = 1;
}

static inline void set(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	must(fd >= 0 && write(fd, text, strlen(text)) > 0, path);
	close(fd);
}

/* Memory for one huge page */
static inline memory_t *aligned(void)
{
	memory_t *memory = map(2 * HUGE_PAGE, RW, PRIVATE, -1);

	set("/sys/kernel/mm/transparent_hugepage/enabled", "madvise");
	memory += -(unsigned long)memory % HUGE_PAGE;
	must(!madvise((void *)memory, HUGE_PAGE, MADV_HUGEPAGE), "madvise");
	return memory;
}

#endif /* FAULT_TOUCH_H */
