// SPDX-License-Identifier: GPL-2.0-only
/*
 * offsets - where the compiler has put members that every kernel with structures in random order
 * moves. Nobody loads it: the numbers are read out of the file.
 */
#include <linux/mm_types.h>
#include <linux/module.h>
#include <linux/sched.h>

#define OFFSET(type, member) { #type "." #member, offsetof(struct type, member) }

struct offset {
	char name[56];
	unsigned long offset;
};

struct offset lab_offsets[] = {
	OFFSET(task_struct, comm),
	OFFSET(task_struct, pid),
	OFFSET(task_struct, mm),
	OFFSET(task_struct, active_mm),
	OFFSET(task_struct, files),
	OFFSET(task_struct, cred),
	OFFSET(mm_struct, pgd),
	OFFSET(mm_struct, start_code),
	OFFSET(mm_struct, brk),
	OFFSET(vm_area_struct, vm_start),
	OFFSET(vm_area_struct, vm_end),
	OFFSET(vm_area_struct, vm_file),
};

MODULE_LICENSE("GPL");
