// SPDX-License-Identifier: GPL-2.0-only
/*
 * fault_turns - files that take turns at the same address
 *
 * The kernel reuses the memory of objects that it has just freed, so what is mapped
 * next has the same struct file * and mm_struct * as what was there before.
 * Files of one instruction, in one process; then copies of this program. Prints
 *	turn ADDRESS FILE	before it executes what is mapped there
 *	run PID FILE		after a program has ended
 */
#include "fault_say.h"
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define TURNS 8
#define RETURNS "\xc3" /* the instruction */

static const char *const codes[] = { "/tmp/code1", "/tmp/code2" };
static const char *const programs[] = { "/tmp/turn1", "/tmp/turn2" };
static memory_t data[16 * PAGE] = { 1 };

static int create(const char *path)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0755);

	must(fd >= 0, path);
	return fd;
}

static void code(memory_t *where, const char *path)
{
	int fd = open(path, O_RDONLY);

	must(fd >= 0, path);
	must(mmap((void *)where, PAGE, PROT_READ | PROT_EXEC,
		  MAP_PRIVATE | MAP_FIXED, fd, 0) == where, "mmap");
	close(fd);
	say("turn %p %s\n", where, path);
	((void (*)(void))(unsigned long)where)();
	must(!munmap((void *)where, PAGE), "munmap");
	usleep(30000); /* the kernel frees a struct file a little later */
}

static void run(const char *path)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		execl(path, path, "ends", NULL);
		_exit(1);
	}
	must(pid > 0 && waitpid(pid, &status, 0) == pid && !status, path);
	say("run %d %s\n", pid, path);
}

int main(int argc, char **argv)
{
	memory_t *where;
	struct stat own;
	int fd, copy;

	(void)argv;
	for (int i = 0; i < 16; i++)
		data[i * PAGE] = 2;
	if (argc > 1)
		return 0;
	where = map(PAGE, PROT_NONE, PRIVATE, -1);
	for (int i = 0; i < 2; i++) {
		fd = create(codes[i]);
		must(write(fd, RETURNS, 1) == 1, codes[i]);
		close(fd);
		fd = open("/proc/self/exe", O_RDONLY);
		copy = create(programs[i]);
		must(!fstat(fd, &own), "fstat");
		must(sendfile(copy, fd, NULL, own.st_size) == own.st_size, "sendfile");
		close(copy);
		close(fd);
	}
	for (int i = 0; i < TURNS; i++)
		code(where, codes[i % 2]);
	for (int i = 0; i < TURNS; i++)
		run(programs[i % 2]);
	return 0;
}
