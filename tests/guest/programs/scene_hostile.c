// SPDX-License-Identifier: GPL-2.0-only
/*
 * hostile - processes with all names that a terminal would obey, for themselves, their
 * files and their threads
 */
#include "hostile.h"
#include "scene.h"
#include <elf.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define FOLDER "/tmp/hostile"
#define RESTS "rests" /* the argument of a copy of this program */

static void *thread(void *name)
{
	prctl(PR_SET_NAME, name);
	scene_sleep();
}

static void use(const char *path)
{
	scene_map(NULL, PAGE, PROT_READ, MAP_SHARED, scene_file(path, 1), 0);
}

static void listen_as(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s.socket", name);
	scene_check(!bind(fd, (struct sockaddr *)&address, sizeof(address)), "bind");
	scene_check(!listen(fd, 1), "listen");
}

/* With a folder of its own, a file in it, a file without a name, a thread, a socket */
static void __attribute__((noreturn)) child(size_t i)
{
	const char *name = hostile_names[i];
	const char *next = hostile_names[(i + 1) % HOSTILE_NAMES];
	pthread_t other;
	char path[64];

	scene_check(!mkdir(name, 0755) && !chdir(name), "make a folder");
	use(next);
	snprintf(path, sizeof(path), "%s gone", name);
	use(path);
	scene_check(!unlink(path), "unlink a file");
	scene_map(NULL, PAGE, PROT_READ, MAP_SHARED, memfd_create(name, 0), 0);
	listen_as(next);
	scene_check(!pthread_create(&other, NULL, thread, (void *)next), "start a thread");
	scene_sleep();
}

/* Become a copy of this program whose sections' names are escape sequences */
static void __attribute__((noreturn)) copy(const char *name)
{
	char *argv[] = { (char *)name, RESTS, (char *)name, NULL };
	char *envp[] = { (char *)name, NULL };
	int from = open("/proc/self/exe", O_RDONLY);
	int to = open(name, O_RDWR | O_CREAT, 0755);
	struct stat stat;
	Elf64_Shdr *names;
	Elf64_Ehdr *elf;
	char *program;

	scene_check(!fstat(from, &stat), "look at this program");
	program = scene_map(NULL, stat.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, from, 0);
	elf = (Elf64_Ehdr *)program;
	names = (Elf64_Shdr *)(program + elf->e_shoff) + elf->e_shstrndx;
	for (size_t i = 0; i < names->sh_size; i++) {
		if (program[names->sh_offset + i] == '.')
			program[names->sh_offset + i] = '\033';
	}
	scene_check(write(to, program, stat.st_size) == stat.st_size, "copy this program");
	close(from);
	close(to);
	execve(name, argv, envp);
	scene_die("execute a copy");
	_exit(1);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], RESTS)) {
		prctl(PR_SET_NAME, "copy");
		scene_sleep();
	}
	scene_check(!mkdir(FOLDER, 0755) && !chdir(FOLDER), "make a folder");
	for (size_t i = 0; i < HOSTILE_NAMES; i++) {
		if (!scene_fork(hostile_names[i]))
			child(i);
	}
	scene_check(!mkdir("copy", 0755), "make a folder");
	if (!scene_fork("copying"))
		copy("copy/\033[95mprogram");
	prctl(PR_SET_NAME, "hostile");
	scene_ready();
	scene_sleep();
}
