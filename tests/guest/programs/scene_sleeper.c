// SPDX-License-Identifier: GPL-2.0-only
/*
 * sleeper - a program with something in each of its segments, asleep four calls deep
 *
 * Linked in four ways: static, static-pie, dynamic, dynamic-pie.
 */
#include "scene.h"

const int constant[PAGE] = { 1 };
int initialised[PAGE] = { 2 };
int zeroed[4 * PAGE];
static _Thread_local int of_a_thread = 3;

static __attribute__((noinline)) int innermost(int depth)
{
	scene_ready();
	scene_sleep();
	return depth;
}

static __attribute__((noinline)) int inner(int depth)
{
	return innermost(depth + 1) + constant[depth];
}

static __attribute__((noinline)) int outer(int depth)
{
	char buffer[512];

	snprintf(buffer, sizeof(buffer), "%d %p", depth, &depth);
	return inner(depth + 1) + buffer[depth];
}

int main(void)
{
	static char *heap;

	heap = malloc(10 * PAGE);
	scene_check(!!heap, "take memory");
	memset(heap, 4, 10 * PAGE);
	zeroed[PAGE] = initialised[PAGE / 2] + of_a_thread;
	return outer(1) + heap[0];
}
