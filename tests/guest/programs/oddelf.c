// SPDX-License-Identifier: GPL-2.0-only
/*
 * oddelf - processes with odd ELF files, and files with the names of the host's
 *
 *	oddelf [PATH...]
 *
 * Starts processes that each sleep: one for each way in which headers in memory can
 * be overwritten, called header-N; one for each oddity of a file that the kernel does
 * not check, executed as /tmp/file-N; and one for each PATH, executed from a copy of
 * this program at that path, whatever the guest has there, called path-N. When all
 * sleep it calls segment_info().
 */
#include "lab.h"
#include "say.h"
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#define HEADERS 9
#define FILES 9
#define FILE_ROOM (8 * 1024 * 1024)
#define SHARE "/mnt/host_share"

static struct segment_info info;
static char copy[FILE_ROOM];
static int asleep[2]; /* a pipe, which is closed when all sleep */

/* The last call of each process; the test finds it by its name */
static void sleeps(const char *kind, int number, int end)
{
	char name[16];

	snprintf(name, sizeof(name), "%s-%d", kind, number);
	prctl(PR_SET_NAME, name);
	close(end);
	for (;;)
		pause();
}

static void odd_header(int number)
{
	Elf64_Ehdr *header = (void *)0x400000;
	Elf64_Phdr *segments = (void *)((char *)header + header->e_phoff);

	must(!mprotect(header, 4096, PROT_READ | PROT_WRITE), "mprotect");
	switch (number) {
	case 0:
		header->e_phnum = 65535;
		break;
	case 1:
		header->e_phoff = -8;
		break;
	case 2:
		for (int i = 0; i < header->e_phnum; i++) {
			segments[i].p_memsz = -1;
			segments[i].p_filesz = -4096;
		}
		break;
	case 3:
		for (int i = 0; i < header->e_phnum; i++) {
			segments[i].p_offset = -4096;
			segments[i].p_vaddr = -4096;
			segments[i].p_align = 3;
		}
		break;
	case 4:
		memset(header, 0xff, 4096);
		memcpy(header, ELFMAG, SELFMAG);
		break;
	case 5:
		memset(header, 0x1b, 4096);
		break;
	case 6:
		header->e_shnum = 65535;
		header->e_shoff = -1;
		header->e_shentsize = 0;
		header->e_phentsize = 0;
		break;
	case 7:
		header->e_shstrndx = 65535;
		header->e_type = 0x1b;
		header->e_machine = 0x9999;
		header->e_ident[EI_CLASS] = 9;
		header->e_ident[EI_DATA] = 2;
		break;
	case 8:
		for (int i = 0; i < header->e_phnum; i++) {
			segments[i].p_type = 0x1b5b324a;
			segments[i].p_flags = -1;
		}
		break;
	}
	sleeps("header", number, asleep[1]);
}

static void odd_section(Elf64_Shdr *section, int number)
{
	switch (number) {
	case 4:
		section->sh_name = -1;
		section->sh_size = 1UL << 60;
		section->sh_offset = -1;
		section->sh_entsize = 0;
		break;
	case 5:
		section->sh_link = 0xffffff;
		section->sh_info = -1;
		break;
	case 6:
		section->sh_flags |= SHF_COMPRESSED;
		break;
	case 7:
		section->sh_size = section->sh_size / 2 + 1;
		break;
	case 8:
		section->sh_type = SHT_NOBITS;
		break;
	}
}

/* Change the copy in a way that the kernel still executes it */
static void odd_file(int number)
{
	Elf64_Ehdr *header = (void *)copy;
	Elf64_Phdr *segments = (void *)(copy + header->e_phoff);
	Elf64_Shdr *sections = (void *)(copy + header->e_shoff);

	for (int i = 0; number >= 4 && i < header->e_shnum; i++)
		odd_section(&sections[i], number);
	switch (number) {
	case 0:
		header->e_shnum = 65535;
		header->e_shoff = -64;
		header->e_shstrndx = 65534;
		break;
	case 1:
		header->e_shentsize = 0;
		header->e_shnum = 0;
		header->e_shoff = 64;
		break;
	case 2:
		for (int i = 0; i < header->e_phnum; i++) {
			if (segments[i].p_type != PT_NOTE)
				continue;
			segments[i].p_filesz = 1UL << 62;
			segments[i].p_memsz = -1;
			segments[i].p_offset = -4096;
		}
		break;
	case 3:
		for (int i = 0; i < header->e_phnum; i++) {
			if (segments[i].p_type != PT_NOTE)
				continue;
			segments[i].p_type = PT_DYNAMIC;
			segments[i].p_filesz = 1UL << 40;
		}
		break;
	}
}

static ssize_t read_copy(void)
{
	ssize_t size = 0, got;
	int file = open("/proc/self/exe", O_RDONLY);

	must(file >= 0, "open myself");
	while ((got = read(file, copy + size, FILE_ROOM - size)) > 0)
		size += got;
	must(!got && size < FILE_ROOM, "read myself");
	close(file);
	return size;
}

/* Become the copy, which then sleeps: see main() */
static void execute(const char *path, const char *kind, int number)
{
	char digits[16], end[16];
	ssize_t size = read_copy();
	int file;

	if (!strcmp(kind, "file"))
		odd_file(number);
	unlink(path);
	file = open(path, O_WRONLY | O_CREAT | O_EXCL, 0755);
	must(file >= 0, path);
	must(write(file, copy, size) == size, "write");
	close(file);
	snprintf(digits, sizeof(digits), "%d", number);
	snprintf(end, sizeof(end), "%d", asleep[1]);
	execl(path, path, "--sleep", kind, digits, end, NULL);
	must(0, path);
}

int main(int argc, char **argv)
{
	char path[PATH_MAX], byte;

	if (argc == 5 && !strcmp(argv[1], "--sleep"))
		sleeps(argv[2], atoi(argv[3]), atoi(argv[4]));
	mkdir("/tmp", 0755); /* unless it exists */
	/* The guest may give its files any name */
	must(!mount("tmpfs", SHARE, "tmpfs", 0, NULL) ||
	     !mount("none", SHARE, "ramfs", 0, NULL), "mount");
	must(!pipe(asleep), "pipe");
	for (int i = 0; i < HEADERS; i++)
		if (!fork())
			odd_header(i);
	for (int i = 0; i < FILES; i++) {
		snprintf(path, sizeof(path), "/tmp/file-%d", i);
		if (!fork())
			execute(path, "file", i);
	}
	for (int i = 1; i < argc; i++)
		if (!fork())
			execute(argv[i], "path", i);
	close(asleep[1]);
	must(!read(asleep[0], &byte, 1), "read the pipe");
	if (segment_info(&info) < 0)
		complain_no_call("oddelf");
	return 0;
}
