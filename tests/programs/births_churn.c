// SPDX-License-Identifier: GPL-2.0-only
/*
 * births_churn - forks, while another thread maps and unmaps a page
 *
 * Says
 *	areas forks=NUMBER least=NUMBER
 *
 * least: the areas without that page.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define FORKS 60
#define PAGE 4096

static atomic_bool over;

static void *churn(void *place)
{
	while (!over) {
		if (mmap(place, PAGE, PROT_READ,
			 MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
			 0) != place)
			_exit(1);
		if (munmap(place, PAGE))
			_exit(1);
	}
	return NULL;
}

/* Lines of /proc/self/maps; the vsyscall page is no area */
static int areas(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];
	int count = 0;

	if (!maps)
		_exit(1);
	while (fgets(line, sizeof(line), maps))
		count += !strstr(line, "[vsyscall]");
	fclose(maps);
	return count;
}

int main(void)
{
	/* A hole, apart from all other areas */
	char *place = mmap(NULL, 3 * PAGE, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_t thread;

	if (place == MAP_FAILED || munmap(place + PAGE, PAGE) ||
	    pthread_create(&thread, NULL, churn, place + PAGE))
		return 1;
	for (int i = 0; i < FORKS; i++) {
		pid_t child = fork();

		if (!child)
			_exit(0);
		if (child < 0 || waitpid(child, NULL, 0) != child)
			return 1;
	}
	over = true;
	pthread_join(thread, NULL);
	printf("areas forks=%d least=%d\n", FORKS, areas());
	return 0;
}
