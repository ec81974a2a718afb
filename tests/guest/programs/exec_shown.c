// SPDX-License-Identifier: GPL-2.0-only
/*
 * exec_shown - a program that shows how it was started, before it changes anything
 *
 * No C library: its first instruction is the program's. It prints, with one write()
 * so that no other output comes in between, its initial stack pointer, its arguments,
 * environment and auxiliary vector, and /proc/self/maps. Exits with 42.
 *
 * It is also an interpreter, for a program that names it in PT_INTERP. With "quiet"
 * as its first argument it writes nothing.
 */
#define ROOM (512 * 1024)
#define O_RDONLY 0
#define SYS_READ 0
#define SYS_WRITE 1
#define SYS_OPEN 2
#define SYS_GETPID 39
#define SYS_EXIT 60

static char text[ROOM];
static long length;

static long call(long number, long a, long b, long c)
{
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return result;
}

static void put(const char *string)
{
	while (*string && length < ROOM)
		text[length++] = *string++;
}

static void put_hex(unsigned long value)
{
	for (int shift = 60; shift >= 0; shift -= 4) {
		int digit = value >> shift & 15;
		char one[2] = { digit < 10 ? '0' + digit : 'a' + digit - 10, 0 };

		put(one);
	}
}

static void put_line(const char *what, unsigned long value, const char *string)
{
	put(what);
	put(" ");
	put_hex(value);
	if (string) {
		put(" ");
		put(string);
	}
	put("\n");
}

static void put_maps(void)
{
	long fd = call(SYS_OPEN, (long)"/proc/self/maps", O_RDONLY, 0);
	long got = 1;

	while (got > 0) {
		got = call(SYS_READ, fd, (long)(text + length), ROOM - length);
		if (got > 0)
			length += got;
	}
}

static int is_quiet(const char *argument)
{
	const char *quiet = "quiet";

	while (*quiet && *quiet == *argument) {
		quiet++;
		argument++;
	}
	return *quiet == *argument;
}

__attribute__((used)) static void show(unsigned long *sp)
{
	unsigned long argc = *sp;
	unsigned long *at = sp + 1;

	if (argc > 1 && is_quiet((const char *)at[1]))
		call(SYS_EXIT, 42, 0, 0);
	put_line("begin", call(SYS_GETPID, 0, 0, 0), 0);
	put_line("sp", (unsigned long)sp, 0);
	put_line("argc", argc, 0);
	for (; *at; at++)
		put_line("argv", *at, (const char *)*at);
	for (at++; *at; at++)
		put_line("envp", *at, (const char *)*at);
	for (at++; *at; at += 2) {
		put_line("tag", at[0], 0);
		put_line("value", at[1], 0);
	}
	put("maps\n");
	put_maps();
	put("end\n");
	call(SYS_WRITE, 1, (long)text, length);
	call(SYS_EXIT, 42, 0, 0);
}

__asm__(".globl _start\n"
	"_start:\n"
	"	xor %ebp, %ebp\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call show\n");
