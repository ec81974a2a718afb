/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef TAP_H
#define TAP_H

/*
 * Results in the form of the kernel's self-tests (TAP version 13), with the exit
 * codes of tools/testing/selftests/kselftest.h.
 */
#include "lab.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define TAP_PASS 0
#define TAP_FAIL 1
#define TAP_SKIP 4

static int tap_planned, tap_passed, tap_failed, tap_skipped;

static inline void tap_begin(int planned)
{
	/* A child that is forked must not print again what is still in the buffer */
	setvbuf(stdout, NULL, _IONBF, 0);
	tap_planned = planned;
	printf("TAP version 13\n1..%d\n", planned);
}

/* For what cannot be tested at all: no plan, and the exit code says so */
static inline void __attribute__((noreturn)) tap_skip_all(const char *reason)
{
	printf("TAP version 13\n1..0 # SKIP %s\n", reason);
	exit(TAP_SKIP);
}

static inline __printf(1, 2) void tap_note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("# ");
	vprintf(format, args);
	printf("\n");
	va_end(args);
}

static inline int tap_number(void)
{
	return tap_passed + tap_failed + tap_skipped + 1;
}

static inline void tap_result(int pass, const char *name)
{
	printf("%s %d %s\n", pass ? "ok" : "not ok", tap_number(), name);
	if (pass)
		tap_passed++;
	else
		tap_failed++;
}

static inline void tap_skip(const char *name, const char *reason)
{
	printf("ok %d %s # SKIP %s\n", tap_number(), name, reason);
	tap_skipped++;
}

static inline int tap_end(void)
{
	int missing = tap_planned - (tap_number() - 1);

	if (missing)
		tap_note("%d tests planned but not run", missing);
	tap_note("Totals: pass:%d fail:%d xfail:0 xpass:0 skip:%d error:%d",
		 tap_passed, tap_failed, tap_skipped, missing);
	return tap_failed || missing ? TAP_FAIL : TAP_PASS;
}

#endif /* TAP_H */
