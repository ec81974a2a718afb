// SPDX-License-Identifier: GPL-2.0-only
/*
 * oracle - prints the kernel's own lists and allocations to the console
 *
 * A line for each task, with pid, tgid, task_struct, where its stack starts and ends,
 * and its name; idle_task is the address of the kernel's function, which is not
 * exported.
 * Then a line for each block of pages that the module has allocated: its order, whether
 * it is compound, frame and number of frames. It keeps them as long as it is loaded.
 */
#include <linux/cpumask.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sched/task_stack.h>

static unsigned long idle_task_at;
module_param_named(idle_task, idle_task_at, ulong, 0444);

static void tell_task(struct task_struct *task)
{
	unsigned long stack = (unsigned long)task_stack_page(task);

	pr_err("oracle: task %d %d %lx %lx %lx %s\n", task->pid, task->tgid,
	       (unsigned long)task, stack, stack + THREAD_SIZE, task->comm);
}

static void tell_tasks(void)
{
	struct task_struct *(*idle)(int cpu) = (void *)idle_task_at;
	struct task_struct *process, *task;
	int cpu;

	for_each_possible_cpu(cpu)
		tell_task(idle(cpu));
	rcu_read_lock();
	for_each_process_thread(process, task)
		tell_task(task);
	rcu_read_unlock();
}

static const struct {
	unsigned int order;
	gfp_t flags;
} wanted[] = {
	{ 5, GFP_KERNEL }, { 5, GFP_KERNEL | __GFP_COMP }, { 1, GFP_KERNEL },
	{ 0, GFP_KERNEL }, { 3, GFP_KERNEL | __GFP_COMP }, { 8, GFP_KERNEL },
};

static struct page *taken[ARRAY_SIZE(wanted)];
static void *exact; /* three pages: a block of four, split, with the last one given back */

static void give_back(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wanted); i++) {
		if (taken[i])
			__free_pages(taken[i], wanted[i].order);
	}
	if (exact)
		free_pages_exact(exact, 3 * PAGE_SIZE);
}

static int __init oracle_init(void)
{
	unsigned int i;

	if (idle_task_at)
		tell_tasks();
	exact = alloc_pages_exact(3 * PAGE_SIZE, GFP_KERNEL);
	for (i = 0; i < ARRAY_SIZE(wanted); i++)
		taken[i] = alloc_pages(wanted[i].flags, wanted[i].order);
	for (i = 0; i < ARRAY_SIZE(wanted); i++) {
		if (!taken[i] || !exact) {
			give_back();
			return -ENOMEM;
		}
		pr_err("oracle: block %u %d %lx %u\n", wanted[i].order,
		       !!(wanted[i].flags & __GFP_COMP),
		       page_to_pfn(taken[i]), 1 << wanted[i].order);
	}
	pr_err("oracle: exact 0 0 %lx 3\n", page_to_pfn(virt_to_page(exact)));
	return 0;
}

static void __exit oracle_exit(void)
{
	give_back();
}

module_init(oracle_init);
module_exit(oracle_exit);
MODULE_DESCRIPTION("What the kernel says of its tasks and pages");
MODULE_LICENSE("GPL");
