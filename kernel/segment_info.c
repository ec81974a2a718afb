// SPDX-License-Identifier: GPL-2.0-only
/*
 * segment_info(2): copy the memory layout of the calling process to user space
 *
 * One source for every kernel from 5.10 to 6.4: areas are looked up by address
 * with find_vma(), which hides whether the kernel keeps them in a list and a
 * red-black tree (mm->mmap, mm->mm_rb) or in a maple tree (mm->mm_mt, v6.1).
 */
#include <linux/build_bug.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/limits.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/syscalls.h>
#include <linux/uaccess.h>
#include <uapi/linux/segment_info.h>

/* The name a user gave with prctl(PR_SET_VMA_ANON_NAME), NULL if none */
static const char *given_name(struct vm_area_struct *vma, char *buf, size_t size)
{
#ifdef CONFIG_ANON_VMA_NAME
	struct anon_vma_name *given = anon_vma_name(vma);

	if (given) {
		snprintf(buf, size, vma->vm_file ? "[anon_shmem:%s]" : "[anon:%s]",
			 given->name);
		return buf;
	}
#endif
	return NULL;
}

/* As d_path() in /proc/PID/maps, where a newline is written as \012 */
static const char *file_name(struct file *file, char *buf, size_t size)
{
	char *path = file_path(file, buf, size);
	char *end;

	if (IS_ERR(path))
		return path;
	end = mangle_path(buf, path, "\n");
	if (!end)
		return ERR_PTR(-ENAMETOOLONG);
	*end = '\0';
	return buf;
}

/*
 * What /proc/PID/maps calls @vma: see show_map_vma() in fs/proc/task_mmu.c.
 * Returns "" for plain anonymous memory, ERR_PTR(-ENAMETOOLONG) if a path does
 * not fit into @buf.
 */
static const char *area_name(struct vm_area_struct *vma, char *buf, size_t size)
{
	struct mm_struct *mm = vma->vm_mm;
	const char *name;

	if (vma->vm_file) {
		name = given_name(vma, buf, size);
		return name ? name : file_name(vma->vm_file, buf, size);
	}

	if (vma->vm_ops && vma->vm_ops->name) {
		name = vma->vm_ops->name(vma);
		if (name)
			return name;
	}

	name = arch_vma_name(vma);
	if (name)
		return name;

	if (vma->vm_start <= mm->brk && vma->vm_end >= mm->start_brk)
		return "[heap]";

	if (vma->vm_start <= mm->start_stack && vma->vm_end >= mm->start_stack)
		return "[stack]";

	name = given_name(vma, buf, size);
	return name ? name : "";
}

static void fill_area(struct ma_struct *ma, const struct vm_area_struct *vma,
		      const char *name)
{
	size_t len = strlen(name);

	if (len >= sizeof(ma->name))
		name += len - (sizeof(ma->name) - 1);
	ma->vm_start = vma->vm_start;
	ma->vm_end = vma->vm_end;
	strscpy_pad(ma->name, name, sizeof(ma->name));
}

/* All that can change a boundary or an area; false if a signal kills the task */
static bool lock_layout(struct mm_struct *mm)
{
	if (mmap_read_lock_killable(mm))
		return false;

	/*
	 * Two things change under a read lock: prctl(PR_SET_MM) moves boundaries
	 * under arg_lock, and, until v6.5, a stack grows under page_table_lock.
	 */
	spin_lock(&mm->arg_lock);
	spin_lock(&mm->page_table_lock);
	return true;
}

static void unlock_layout(struct mm_struct *mm)
{
	spin_unlock(&mm->page_table_lock);
	spin_unlock(&mm->arg_lock);
	mmap_read_unlock(mm);
}

/*
 * Fill @si from @mm between lock_layout() and unlock_layout(). @buf, of @size
 * bytes, is room for one path.
 *
 * A debugger stops where this function returns: it finds the finished struct
 * in the return register and a layout that cannot change (file names can). So
 * this stays a function of its own, under its own name.
 *
 * Returns @si, or ERR_PTR(-ENAMETOOLONG) if @buf is too small.
 */
static noinline __noclone struct segment_info *
segment_info_fill(struct segment_info *si, struct mm_struct *mm, char *buf,
		  size_t size)
{
	struct vm_area_struct *vma;

	mmap_assert_locked(mm);
	memset(si, 0, sizeof(*si));

	si->start_code = mm->start_code;
	si->end_code = mm->end_code;
	si->start_data = mm->start_data;
	si->end_data = mm->end_data;
	si->start_brk = mm->start_brk;
	si->brk = mm->brk;
	si->start_stack = mm->start_stack;
	si->thread_sp = user_stack_pointer(current_pt_regs());
	si->mmap_base = mm->mmap_base;

	vma = find_vma(mm, si->start_stack);
	if (vma && vma->vm_start <= si->start_stack)
		si->end_stack = vma->vm_start;

	for (vma = find_vma(mm, 0); vma && si->ma_size < SEGMENT_INFO_MAX_AREAS;
	     vma = find_vma(mm, vma->vm_end)) {
		const char *name = area_name(vma, buf, size);

		if (IS_ERR(name))
			return ERR_CAST(name);
		fill_area(&si->ma[si->ma_size++], vma, name);
	}

	return si;
}

SYSCALL_DEFINE1(segment_info, struct segment_info __user *, info)
{
	struct mm_struct *mm = current->mm;
	struct segment_info *si;
	size_t size = PATH_MAX;
	char *buf;
	long ret;

	BUILD_BUG_ON(sizeof(struct ma_struct) != 40);
	BUILD_BUG_ON(sizeof(struct segment_info) != 1048);

	si = kmalloc(sizeof(*si), GFP_KERNEL);
	if (!si)
		return -ENOMEM;

	/* A path longer than PATH_MAX can be mapped: grow, as seq_read() does */
	do {
		ret = -ENOMEM;
		if (size > SZ_1M)
			break;
		buf = kvmalloc(size, GFP_KERNEL_ACCOUNT);
		if (!buf)
			break;

		ret = -EINTR;
		if (lock_layout(mm)) {
			ret = PTR_ERR_OR_ZERO(segment_info_fill(si, mm, buf, size));
			unlock_layout(mm);
		}

		kvfree(buf);
		size *= 2;
	} while (ret == -ENAMETOOLONG);

	if (!ret)
		ret = copy_to_user(info, si, sizeof(*si)) ? -EFAULT :
							    task_pid_vnr(current);
	kfree(si);
	return ret;
}
