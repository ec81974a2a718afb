// SPDX-License-Identifier: GPL-2.0-only
/*
 * lab_contexts - go through all contexts that kernel code runs in
 *
 *	insmod /lib/modules/lab_contexts.ko
 *
 * In each it calls lab_contexts_here(), which prints what the kernel says of itself there.
 * Stop in it and compare with `lab current`.
 */
#include <linux/completion.h>
#include <linux/err.h>
#include <linux/hrtimer.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irq_work.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/smp.h>
#include <linux/spinlock.h>
#include <linux/timer.h>
#include <linux/workqueue.h>

#ifndef in_hardirq /* older kernels only have in_irq() */
#define in_hardirq() in_irq()
#endif

static DECLARE_COMPLETION(done);
static DEFINE_SPINLOCK(lock);

static noinline void lab_contexts_here(const char *where)
{
	pr_info("lab_contexts: %s: in_task %d in_interrupt %d in_softirq %d in_atomic %d in_hardirq %d irqs_disabled %d preempt_count %#x cpu %d pid %d\n",
		where, !!in_task(), !!in_interrupt(), !!in_softirq(), !!in_atomic(), !!in_hardirq(),
		!!irqs_disabled(), preempt_count(), raw_smp_processor_id(), current->pid);
}

/* The task itself, with more and more switched off */

static void in_the_task(void)
{
	unsigned long flags;

	lab_contexts_here("process");
	preempt_disable();
	lab_contexts_here("preemption off");
	preempt_enable();
	local_bh_disable();
	lab_contexts_here("bottom halves off");
	local_bh_enable();
	local_irq_save(flags);
	lab_contexts_here("interrupts off");
	local_irq_restore(flags);
	spin_lock_irqsave(&lock, flags);
	lab_contexts_here("spinlock held");
	spin_unlock_irqrestore(&lock, flags);
}

/* What others call for it */

static void timer_function(struct timer_list *unused)
{
	lab_contexts_here("timer");
	complete(&done);
}

static DEFINE_TIMER(timer, timer_function);

static void tasklet_function(struct tasklet_struct *unused)
{
	lab_contexts_here("tasklet");
	complete(&done);
}

static DECLARE_TASKLET(tasklet, tasklet_function);

static void work_function(struct work_struct *unused)
{
	lab_contexts_here("workqueue");
	complete(&done);
}

static DECLARE_WORK(work, work_function);

static void irq_work_function(struct irq_work *unused)
{
	lab_contexts_here("irq_work");
	complete(&done);
}

static struct irq_work irq_work;

static enum hrtimer_restart hrtimer_function(struct hrtimer *unused)
{
	lab_contexts_here("high-resolution timer");
	complete(&done);
	return HRTIMER_NORESTART;
}

static struct hrtimer hrtimer;

static int thread_function(void *unused)
{
	lab_contexts_here("kernel thread");
	complete(&done);
	set_current_state(TASK_INTERRUPTIBLE);
	while (!kthread_should_stop()) {
		schedule();
		set_current_state(TASK_INTERRUPTIBLE);
	}
	__set_current_state(TASK_RUNNING);
	return 0;
}

static void call_function(void *unused)
{
	lab_contexts_here("call on each CPU");
}

/* An interrupt of no device, with a handler and a thread */

static int irq = -1;
static struct irq_work irq_raiser;

static irqreturn_t hard_handler(int number, void *unused)
{
	lab_contexts_here("hard interrupt handler");
	return IRQ_WAKE_THREAD;
}

static irqreturn_t threaded_handler(int number, void *unused)
{
	lab_contexts_here("threaded interrupt handler");
	complete(&done);
	return IRQ_HANDLED;
}

static void raise(struct irq_work *unused)
{
	generic_handle_irq(irq);
}

static int in_an_interrupt(void)
{
	int err;

	irq = irq_alloc_desc(0);
	if (irq < 0)
		return irq;
	irq_set_chip_and_handler(irq, &dummy_irq_chip, handle_simple_irq);
	irq_clear_status_flags(irq, IRQ_NOREQUEST);
	err = request_threaded_irq(irq, hard_handler, threaded_handler, 0, "lab_contexts", &irq);
	if (!err) {
		init_irq_work(&irq_raiser, raise);
		irq_work_queue(&irq_raiser);
		wait_for_completion(&done);
		irq_work_sync(&irq_raiser);
		free_irq(irq, &irq);
	}
	irq_free_desc(irq);
	return err;
}

/* Whoever calls complete() is still in this module: wait until they have left it, too */
static void wait_for_all(void)
{
	del_timer_sync(&timer);
	tasklet_kill(&tasklet);
	flush_work(&work);
	irq_work_sync(&irq_work);
	hrtimer_cancel(&hrtimer);
}

static int __init lab_contexts_init(void)
{
	struct task_struct *thread;
	int err;

	in_the_task();

	mod_timer(&timer, jiffies + 1);
	wait_for_completion(&done);
	tasklet_schedule(&tasklet);
	wait_for_completion(&done);
	schedule_work(&work);
	wait_for_completion(&done);
	init_irq_work(&irq_work, irq_work_function);
	irq_work_queue(&irq_work);
	wait_for_completion(&done);
	hrtimer_init(&hrtimer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_HARD);
	hrtimer.function = hrtimer_function;
	hrtimer_start(&hrtimer, ns_to_ktime(NSEC_PER_MSEC), HRTIMER_MODE_REL_HARD);
	wait_for_completion(&done);
	on_each_cpu(call_function, NULL, true);
	thread = kthread_run(thread_function, NULL, "lab_contexts");
	if (IS_ERR(thread)) {
		err = PTR_ERR(thread);
	} else {
		wait_for_completion(&done);
		kthread_stop(thread);
		err = in_an_interrupt();
	}
	wait_for_all();
	return err;
}

static void __exit lab_contexts_exit(void)
{
}

module_init(lab_contexts_init);
module_exit(lab_contexts_exit);
MODULE_DESCRIPTION("Go through all contexts that kernel code runs in");
MODULE_LICENSE("GPL");
