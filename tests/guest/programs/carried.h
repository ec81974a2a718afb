/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef CARRIED_H
#define CARRIED_H

/*
 * The modules that tests/support/guest_modules.py has linked into a program, so that it can load
 * them into any guest of the lab: load("hello", "nap=1").
 */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct carried {
	const char *name;
	const void *image;
	unsigned long size;
};

extern const struct carried carried[]; /* the last one has no name */

/* Load a module. Returns 0, or -1 with errno */
static inline int load(const char *name, const char *parameters)
{
	for (const struct carried *one = carried; one->name; one++) {
		if (!strcmp(one->name, name))
			return syscall(SYS_init_module, one->image, one->size, parameters);
	}
	errno = ENOENT;
	return -1;
}

/* Unload a module. Returns 0, or -1 with errno */
static inline int unload(const char *name)
{
	return syscall(SYS_delete_module, name, 0);
}

#endif /* CARRIED_H */
