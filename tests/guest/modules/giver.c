// SPDX-License-Identifier: GPL-2.0-only
/*
 * giver - a module with parameters, a symbol for others and a variable on each CPU
 *
 *	result=		what its init function returns
 *	label=		a string
 *	numbers=	up to four numbers
 */
#include <linux/module.h>
#include <linux/percpu.h>

static int result;
module_param(result, int, 0444);
static char *label = "none";
module_param(label, charp, 0444);
static int numbers[4], count;
module_param_array(numbers, int, &count, 0444);

static DEFINE_PER_CPU(u64, giver_given);

int giver_give(int what)
{
	this_cpu_inc(giver_given);
	return what;
}
EXPORT_SYMBOL_GPL(giver_give);

static int __init giver_init(void)
{
	pr_info("giver: init result %d label %s numbers %d first %d\n", result, label, count,
		numbers[0]);
	return result;
}

static void __exit giver_exit(void)
{
	pr_info("giver: exit\n");
}

module_init(giver_init);
module_exit(giver_exit);
MODULE_DESCRIPTION("Gives a symbol to others");
MODULE_LICENSE("GPL");
