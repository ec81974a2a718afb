// SPDX-License-Identifier: GPL-2.0-only
/*
 * lab_tasks - walk all processes and their threads
 *
 *	insmod /lib/modules/lab_tasks.ko
 *
 * Prints a line for each thread, as `lab ps` and `lab threads` show it. The lists are
 * protected by RCU: whoever walks them holds rcu_read_lock(), and must not sleep.
 */
#include <linux/module.h>
#include <linux/sched/signal.h>

static void tell(struct task_struct *process, struct task_struct *thread)
{
	pr_info("lab_tasks: task %#lx tgid %d pid %d flags %#x mm %#lx comm %s\n",
		(unsigned long)thread, task_tgid_nr(process), task_pid_nr(thread), thread->flags,
		(unsigned long)thread->mm, thread->comm);
}

static int __init lab_tasks_init(void)
{
	struct task_struct *process, *thread;
	unsigned int processes = 0, threads = 0;

	rcu_read_lock();
	for_each_process(process) {
		processes++;
		for_each_thread(process, thread) {
			threads++;
			tell(process, thread);
		}
	}
	rcu_read_unlock();
	pr_info("lab_tasks: %u processes, %u threads\n", processes, threads);
	return 0;
}

static void __exit lab_tasks_exit(void)
{
}

module_init(lab_tasks_init);
module_exit(lab_tasks_exit);
MODULE_DESCRIPTION("Walk all processes and their threads");
MODULE_LICENSE("GPL");
