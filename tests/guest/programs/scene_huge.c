// SPDX-License-Identifier: GPL-2.0-only
/*
 * huge - transparent huge pages, whole and split, and pages of hugetlbfs
 */
#include "scene.h"
#include <sys/mount.h>
#include <sys/stat.h>

#define RW (PROT_READ | PROT_WRITE)
#define ANONYMOUS (MAP_PRIVATE | MAP_ANONYMOUS)

/* Map an area of so many huge pages, aligned, that asks for huge pages */
static char *aligned(size_t pages, int flags)
{
	size_t size = (pages + 1) * HUGE_PAGE;
	char *all = scene_map(NULL, size, RW, flags | MAP_ANONYMOUS, -1, 0);
	char *start = (char *)(((unsigned long)all + HUGE_PAGE - 1) & -HUGE_PAGE);

	if (start > all)
		munmap(all, start - all);
	munmap(start + pages * HUGE_PAGE, all + size - start - pages * HUGE_PAGE);
	scene_check(!madvise(start, pages * HUGE_PAGE, MADV_HUGEPAGE), "ask for huge pages");
	return start;
}

static void set(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	if (!file || fputs(text, file) < 0 || fclose(file))
		scene_die("set what the kernel does with huge pages");
}

static void hugetlb_file(void)
{
	int fd;

	mkdir("/tmp/huge", 0755);
	scene_check(!mount("none", "/tmp/huge", "hugetlbfs", 0, NULL), "mount hugetlbfs");
	fd = open("/tmp/huge/file", O_RDWR | O_CREAT, 0644);
	scene_check(fd >= 0, "make a file of huge pages");
	scene_map(NULL, 2 * HUGE_PAGE, RW, MAP_SHARED, fd, 0)[HUGE_PAGE] = 1;
	close(fd);
}

int main(void)
{
	char *memory;

	set("/proc/sys/vm/nr_hugepages", "6");
	/* It is off by default on machines with less than 512 MiB: hugepage_init() */
	set("/sys/kernel/mm/transparent_hugepage/enabled", "madvise");
	set("/sys/kernel/mm/transparent_hugepage/use_zero_page", "1");

	memory = aligned(2, MAP_PRIVATE);
	memset(memory, 1, 2 * HUGE_PAGE);

	memory = aligned(2, MAP_PRIVATE); /* one page in the middle gets other rights */
	memset(memory, 2, 2 * HUGE_PAGE);
	scene_check(!mprotect(memory + HUGE_PAGE / 2, PAGE, PROT_READ), "protect a page");

	memory = aligned(1, MAP_PRIVATE); /* a hole in the page, but not in the area */
	memset(memory, 3, HUGE_PAGE);
	scene_check(!madvise(memory + 3 * PAGE, PAGE, MADV_DONTNEED), "give a page back");

	memory = aligned(1, MAP_PRIVATE); /* only read: the huge zero page */
	(void)*(volatile char *)memory;

	memory = scene_map(NULL, 3 * HUGE_PAGE, RW, ANONYMOUS | MAP_HUGETLB, -1, 0);
	memory[0] = 1; /* and two that are never touched */

	hugetlb_file();
	scene_ready();
	scene_sleep();
}
