// SPDX-License-Identifier: GPL-2.0-only
/* arena - a thread asks malloc() for a small block while the first one uses its heap */
#include <pthread.h>
#include <stdlib.h>

static void *small(void *unused)
{
	(void)unused;
	return malloc(100);
}

int main(void)
{
	void *volatile mine = malloc(100);
	pthread_t thread;
	void *block;

	if (!mine || pthread_create(&thread, NULL, small, NULL))
		return 1;
	return pthread_join(thread, &block) || !block;
}
