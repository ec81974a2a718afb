// SPDX-License-Identifier: GPL-2.0-only
/*
 * lab_slab - what kmalloc() gives for every size, and a cache of our own
 *
 *	insmod /lib/modules/lab_slab.ko [most=8192] [objects=20]
 *
 * Prints a line for each run of sizes that get the same, as ksize() tells: compare it
 * with `lab kmalloc`. Then makes the cache lab_object with some objects, every third of
 * them freed again: compare it with `lab slabs lab_object`, and `lab what` at each.
 */
#include <linux/module.h>
#include <linux/slab.h>

#define MOST_OBJECTS 1000

struct lab_object {
	char name[16];
	int number;
	struct list_head list;
};

static unsigned long most = 8192;
module_param(most, ulong, 0444);
MODULE_PARM_DESC(most, "the largest size to ask for");
static unsigned int objects = 20;
module_param(objects, uint, 0444);
MODULE_PARM_DESC(objects, "objects of our own cache");

static struct kmem_cache *lab_cache;
static LIST_HEAD(lab_objects); /* those that are kept */

static int measure(void)
{
	size_t size, given, first = 1, before = 0;

	for (size = 1; size <= most; size++) {
		void *memory = kmalloc(size, GFP_KERNEL);

		if (!memory)
			return -ENOMEM;
		given = ksize(memory);
		kfree(memory);
		if (given == before)
			continue;
		if (before)
			pr_info("lab_slab: %zu to %zu bytes: %zu\n", first, size - 1, before);
		first = size;
		before = given;
	}
	pr_info("lab_slab: %zu to %lu bytes: %zu\n", first, most, before);
	return 0;
}

static void free_objects(void)
{
	struct lab_object *object, *next;

	list_for_each_entry_safe(object, next, &lab_objects, list) {
		list_del(&object->list);
		kmem_cache_free(lab_cache, object);
	}
}

/* Called once for each slot of a new slab. A cache that has this is never merged with another. */
static void construct(void *memory)
{
	struct lab_object *object = memory;

	INIT_LIST_HEAD(&object->list);
}

static int make_objects(void)
{
	unsigned int i;

	for (i = 0; i < min_t(unsigned int, objects, MOST_OBJECTS); i++) {
		struct lab_object *object = kmem_cache_alloc(lab_cache, GFP_KERNEL);

		if (!object) {
			free_objects();
			return -ENOMEM;
		}
		snprintf(object->name, sizeof(object->name), "object %u", i);
		object->number = i;
		list_add_tail(&object->list, &lab_objects);
	}
	return 0;
}

/* %p shows a hash of the pointer: `lab dmesg` finds out which one it is */
static void tell(const struct lab_object *object, const char *what)
{
	pr_info("lab_slab: %s at %#lx, by %%p %p: %s\n", object->name, (unsigned long)object,
		object, what);
}

/* Every third one: their slots are free, and in between are some in use */
static void free_some(void)
{
	struct lab_object *object, *next;

	list_for_each_entry_safe(object, next, &lab_objects, list) {
		if (object->number % 3 == 1) {
			tell(object, "freed");
			list_del(&object->list);
			kmem_cache_free(lab_cache, object);
		} else {
			tell(object, "kept");
		}
	}
}

static int __init lab_slab_init(void)
{
	int err = measure();

	if (err)
		return err;
	lab_cache = kmem_cache_create("lab_object", sizeof(struct lab_object), 0,
				      SLAB_HWCACHE_ALIGN, construct);
	if (!lab_cache)
		return -ENOMEM;
	err = make_objects();
	if (err) {
		kmem_cache_destroy(lab_cache);
		return err;
	}
	free_some();
	return 0;
}

static void __exit lab_slab_exit(void)
{
	free_objects();
	kmem_cache_destroy(lab_cache);
}

module_init(lab_slab_init);
module_exit(lab_slab_exit);
MODULE_DESCRIPTION("What kmalloc() gives for what is asked, and a cache of our own");
MODULE_LICENSE("GPL");
