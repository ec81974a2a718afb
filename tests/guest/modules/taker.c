// SPDX-License-Identifier: GPL-2.0-only
/*
 * taker - a module that needs giver
 */
#include <linux/module.h>

int giver_give(int what);

static int __init taker_init(void)
{
	pr_info("taker: init %d\n", giver_give(7));
	return 0;
}

static void __exit taker_exit(void)
{
	pr_info("taker: exit\n");
}

module_init(taker_init);
module_exit(taker_exit);
MODULE_DESCRIPTION("Needs a symbol of giver");
MODULE_LICENSE("GPL");
