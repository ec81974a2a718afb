// SPDX-License-Identifier: GPL-2.0-only
/*
 * lab_bugs - two bugs with memory, made on purpose
 *
 *	insmod /lib/modules/lab_bugs.ko bug=use-after-free
 *	insmod /lib/modules/lab_bugs.ko bug=double-free
 *
 * Without a parameter it does nothing. The memory is of a cache of its own, so that
 * nothing else gets the object in between: still, reboot afterwards.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>

static char *bug = "";
module_param(bug, charp, 0444);
MODULE_PARM_DESC(bug, "use-after-free or double-free");

struct lab_victim {
	char text[48];
};

static struct kmem_cache *lab_victims;

/* With a constructor of its own the cache is not merged with others of that size */
static void construct(void *memory)
{
	struct lab_victim *victim = memory;

	strscpy(victim->text, "not used yet", sizeof(victim->text));
}

static noinline void use_after_free(struct lab_victim *victim)
{
	kmem_cache_free(lab_victims, victim);
	/* The allocator may have its list of free objects in there */
	strscpy(victim->text, "written after kmem_cache_free()", sizeof(victim->text));
	pr_info("lab_bugs: wrote to %#lx, which is free\n", (unsigned long)victim);
}

static noinline void double_free(struct lab_victim *victim)
{
	kmem_cache_free(lab_victims, victim);
	kmem_cache_free(lab_victims, victim);
	pr_info("lab_bugs: freed %#lx twice\n", (unsigned long)victim);
}

static int __init lab_bugs_init(void)
{
	struct lab_victim *victim;

	if (!*bug)
		return 0;
	lab_victims = kmem_cache_create("lab_victim", sizeof(*victim), 0, 0, construct);
	if (!lab_victims)
		return -ENOMEM;
	victim = kmem_cache_alloc(lab_victims, GFP_KERNEL);
	if (!victim) {
		kmem_cache_destroy(lab_victims);
		return -ENOMEM;
	}
	if (!strcmp(bug, "use-after-free")) {
		use_after_free(victim);
	} else if (!strcmp(bug, "double-free")) {
		double_free(victim);
	} else {
		pr_err("lab_bugs: bug=%s is unknown: give use-after-free or double-free\n", bug);
		kmem_cache_free(lab_victims, victim);
		kmem_cache_destroy(lab_victims);
		return -EINVAL;
	}
	return 0; /* the cache is damaged, and stays */
}

/* No exit function: after a bug the module cannot be unloaded */
module_init(lab_bugs_init);
MODULE_DESCRIPTION("A use after free, or a double free, on purpose");
MODULE_LICENSE("GPL");
