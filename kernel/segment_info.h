/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
#ifndef _UAPI_LINUX_SEGMENT_INFO_H
#define _UAPI_LINUX_SEGMENT_INFO_H

/*
 * segment_info(2), system call 451 on x86-64:
 *
 *	long segment_info(struct segment_info *info);
 *
 * copies the memory layout of the calling process to @info and returns the
 * caller's thread id, or a negative errno (EFAULT, EINTR, ENOMEM, ENOSYS).
 * The layout of both structures is fixed: programs are compiled against it.
 */

#define SEGMENT_INFO_MAX_AREAS	24
#define SEGMENT_INFO_NAME_LEN	24

/**
 * struct ma_struct - one memory area, 40 bytes
 * @vm_start: first address of the area
 * @vm_end: first address behind the area
 * @name: as in /proc/PID/maps; a longer name keeps its last 23 bytes; empty
 *	for plain anonymous memory. NUL-terminated and NUL-padded.
 */
struct ma_struct {
	unsigned long vm_start;
	unsigned long vm_end;
	char name[SEGMENT_INFO_NAME_LEN];
};

/**
 * struct segment_info - the memory layout of a process, 1048 bytes
 * @start_code: start of the program's code
 * @end_code: end of the program's code
 * @start_data: start of the initialised data
 * @end_data: end of the initialised data
 * @start_brk: start of the heap
 * @brk: current end of the heap
 * @start_stack: where the initial stack began, an address near its top
 * @end_stack: lowest address of the area that holds @start_stack, 0 if none
 * @thread_sp: stack pointer of the calling thread in user mode
 * @mmap_base: where mmap() starts to look for room: down from here, or up in
 *	the legacy layout (ADDR_COMPAT_LAYOUT, or vm.legacy_va_layout)
 * @ma_size: number of valid entries in @ma
 * @ma: the first areas of the process, in address order
 */
struct segment_info {
	unsigned long start_code;
	unsigned long end_code;
	unsigned long start_data;
	unsigned long end_data;
	unsigned long start_brk;
	unsigned long brk;
	unsigned long start_stack;
	unsigned long end_stack;
	unsigned long thread_sp;
	unsigned long mmap_base;
	unsigned long ma_size;
	struct ma_struct ma[SEGMENT_INFO_MAX_AREAS];
};

#endif /* _UAPI_LINUX_SEGMENT_INFO_H */
