// SPDX-License-Identifier: GPL-2.0-only
/*
 * wrong - do one thing wrong when loaded, to see whether the kernel's checkers report it
 *
 *	crime=	freed		read memory after it was freed
 *		shift		shift by more bits than there are
 *		sleep		sleep with a spinlock held
 *		order		take two locks in one order and then in the other
 *		list		take an element out of a list twice
 */
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

static char *crime = "";
module_param(crime, charp, 0444);

static DEFINE_SPINLOCK(spin);
static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);
static LIST_HEAD(list);
static int bits = 40;

static void read_freed(void)
{
	char *memory = kmalloc(64, GFP_KERNEL);

	if (!memory)
		return;
	OPTIMIZER_HIDE_VAR(memory);
	kfree(memory);
	pr_info("freed: %d\n", READ_ONCE(memory[8]));
}

static void shift(void)
{
	pr_info("shifted: %d\n", 1 << READ_ONCE(bits));
}

static void sleep_with_lock(void)
{
	spin_lock(&spin);
	might_sleep();
	spin_unlock(&spin);
}

static void order(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);
	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
}

static void delete_twice(void)
{
	static struct list_head element;

	list_add(&element, &list);
	list_del(&element);
	list_del(&element);
}

static int __init wrong_init(void)
{
	if (!strcmp(crime, "freed"))
		read_freed();
	else if (!strcmp(crime, "shift"))
		shift();
	else if (!strcmp(crime, "sleep"))
		sleep_with_lock();
	else if (!strcmp(crime, "order"))
		order();
	else if (!strcmp(crime, "list"))
		delete_twice();
	else
		return -EINVAL;
	return 0;
}

static void __exit wrong_exit(void)
{
}

module_init(wrong_init);
module_exit(wrong_exit);
MODULE_DESCRIPTION("Does one thing wrong");
MODULE_LICENSE("GPL");
