/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SAY_H
#define SAY_H

/* How a program reports to the test that runs it. */
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

/* Print a line with one write(), since several processes may write at once */
static inline __attribute__((__format__(printf, 1, 2))) void
say(const char *format, ...)
{
	char line[256];
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (write(STDOUT_FILENO, line, length) != length)
		_exit(1);
}

static inline void must(int good, const char *what)
{
	if (!good) {
		say("FAILED %s: %m\n", what);
		_exit(1);
	}
}

#endif /* SAY_H */
