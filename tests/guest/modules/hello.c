// SPDX-License-Identifier: GPL-2.0-only
/*
 * hello - a module whose functions are on stacks: /proc/hello
 *
 * Reading sleeps until a signal comes, two calls deep. Writing prints the stack
 * to the console and then reads the first byte of the buffer directly, without
 * copy_from_user(): if its page is not present, wr() itself faults.
 *
 * With nap=1 loading sleeps instead, in init code that is discarded afterwards.
 */
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

static DECLARE_WAIT_QUEUE_HEAD(never);
static bool nap;
module_param(nap, bool, 0444);

static noinline int doze(void)
{
	return wait_event_interruptible(never, false);
}

static ssize_t rd(struct file *file, char __user *to, size_t size, loff_t *at)
{
	int err = doze();

	return err ? err : size;
}

/* __cold puts it into a section of its own */
static noinline __cold void tell(void)
{
	dump_stack();
}

static ssize_t wr(struct file *file, const char __user *from, size_t size, loff_t *at)
{
	char byte;

	tell();
	if (!user_access_begin(from, 1))
		return -EFAULT;
	unsafe_get_user(byte, from, fault);
	user_access_end();
	return byte ? 1 : size;

fault:
	user_access_end();
	return -EFAULT;
}

static const struct proc_ops ops = {
	.proc_read = rd,
	.proc_write = wr,
	.proc_lseek = noop_llseek,
};

static int __init hello_init(void)
{
	if (nap)
		return doze();
	return proc_create("hello", 0600, NULL, &ops) ? 0 : -ENOMEM;
}

static void __exit hello_exit(void)
{
	remove_proc_entry("hello", NULL);
}

module_init(hello_init);
module_exit(hello_exit);
MODULE_DESCRIPTION("A module that is found in stacks");
MODULE_LICENSE("GPL");
