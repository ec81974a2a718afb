/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FILES_H
#define FILES_H

/*
 * Files that a program holds, and writes to their places in the guest: make_files(). FILES
 * names them for the assembler, see with_files() in tests/support/labs.py.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Each file: its path, its size, its bytes. An empty path ends the list */
__asm__(".section .rodata\n"
	".globl files\n"
	"files:\n"
	".include \"" FILES "\"\n"
	".byte 0\n"
	".previous\n");
extern const char files[];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void write_file(const char *path, const char *data, size_t size, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size || fchmod(fd, mode))
		die(path);
	close(fd);
}

static void make_folders(const char *path)
{
	char folder[256];

	for (const char *end = strchr(path + 1, '/'); end; end = strchr(end + 1, '/')) {
		snprintf(folder, sizeof(folder), "%.*s", (int)(end - path), path);
		mkdir(folder, 0755);
	}
}

static void make_files(void)
{
	const char *at = files;

	while (*at) {
		const char *path = at;
		unsigned long size;

		at += strlen(path) + 1;
		memcpy(&size, at, sizeof(size));
		at += sizeof(size);
		make_folders(path);
		write_file(path, at, size, 0755);
		at += size;
	}
}

#endif /* FILES_H */
