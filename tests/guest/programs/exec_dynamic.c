// SPDX-License-Identifier: GPL-2.0-only
/*
 * exec_dynamic - a program with a dynamic linker, which prints what that was given
 */
#include <elf.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv)
{
	static const unsigned long tags[] = {
		AT_PHDR, AT_PHNUM,  AT_BASE,   AT_ENTRY,
		AT_UID,	 AT_RANDOM, AT_EXECFN, AT_SYSINFO_EHDR,
	};
	static char text[4096];
	int length = 0;

	length += sprintf(text + length, "begin %x\nargc %x\n", getpid(), argc);
	for (int i = 0; i < argc; i++)
		length += sprintf(text + length, "argv %lx %s\n",
				  (unsigned long)argv[i], argv[i]);
	for (int i = 0; environ[i]; i++)
		length += sprintf(text + length, "envp %lx %s\n",
				  (unsigned long)environ[i], environ[i]);
	for (unsigned long i = 0; i < sizeof(tags) / sizeof(*tags); i++)
		length += sprintf(text + length, "tag %lx\nvalue %lx\n", tags[i],
				  getauxval(tags[i]));
	length += sprintf(text + length, "maps\nend\n");
	return write(STDOUT_FILENO, text, length) == length ? 42 : 1;
}
