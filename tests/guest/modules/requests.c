// SPDX-License-Identifier: GPL-2.0-only
/*
 * requests - ask the allocators in many ways, and print each request and its answer
 *
 * Pages: flags as %pGg prints them, of several orders; and in an interrupt. Objects: of many
 * sizes, every second one kept; of a cache of our own many at once, some of them kept.
 */
#include <linux/gfp.h>
#include <linux/irq_work.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

static const gfp_t flags[] = {
	GFP_KERNEL, GFP_ATOMIC, GFP_NOWAIT, GFP_NOIO, GFP_NOFS, GFP_USER, GFP_HIGHUSER,
	GFP_HIGHUSER_MOVABLE, GFP_KERNEL_ACCOUNT, GFP_DMA, GFP_DMA32,
	GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN, GFP_KERNEL | __GFP_RECLAIMABLE,
	GFP_NOWAIT | __GFP_NORETRY | __GFP_COMP | __GFP_NOMEMALLOC,
	GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_THISNODE | __GFP_WRITE, 0,
};

struct requests_object {
	char text[72];
};

static const size_t sizes[] = { 1, 8, 20, 33, 100, 129, 193, 1025, 4000, 8192 };
static void *kept[ARRAY_SIZE(sizes)];
static void *many[20];
static struct kmem_cache *cache;

static noinline void request(gfp_t gfp, unsigned int order)
{
	struct page *page = alloc_pages(gfp, order);

	if (!page)
		return;
	pr_info("requests: page gfp=%pGg order=%u pfn=%lu\n", &gfp, order, page_to_pfn(page));
	__free_pages(page, order);
}

static void interrupt(struct irq_work *work)
{
	request(GFP_ATOMIC, 4);
}

static DEFINE_IRQ_WORK(work, interrupt);

static noinline void *get(size_t size)
{
	void *object = kmalloc(size, GFP_KERNEL);

	pr_info("requests: object at=%lu asked=%zu given=%zu\n", (unsigned long)object, size,
		ksize(object));
	return object;
}

static noinline void *get_constant(void)
{
	void *object = kmalloc(40, GFP_NOWAIT);

	pr_info("requests: constant at=%lu given=%zu\n", (unsigned long)object, ksize(object));
	return object;
}

/* A cache that has this is never merged with another */
static void construct(void *object)
{
}

static void objects(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		kept[i] = get(sizes[i]);
		if (i % 2) {
			kfree(kept[i]);
			kept[i] = NULL;
		}
	}
	kfree(get_constant());
	cache = kmem_cache_create("requests_object", sizeof(struct requests_object), 0, 0,
				  construct);
	if (!kmem_cache_alloc_bulk(cache, GFP_KERNEL, ARRAY_SIZE(many), many))
		return;
	for (i = 0; i < ARRAY_SIZE(many); i++)
		pr_info("requests: many at=%lu\n", (unsigned long)many[i]);
	kmem_cache_free_bulk(cache, ARRAY_SIZE(many) / 2, many);
}

static int __init requests_init(void)
{
	void *large;
	int i;

	for (i = 0; i < ARRAY_SIZE(flags); i++)
		request(flags[i], i % 5);
	irq_work_queue(&work);
	irq_work_sync(&work);
	large = kmalloc(100 << 10, GFP_KERNEL);
	pr_info("requests: large pfn=%lu bytes=%d\n", page_to_pfn(virt_to_page(large)), 100 << 10);
	kfree(large);
	objects();
	return 0;
}

static void __exit requests_exit(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		kfree(kept[i]);
	kmem_cache_free_bulk(cache, ARRAY_SIZE(many) / 2, many + ARRAY_SIZE(many) / 2);
	kmem_cache_destroy(cache);
}

module_init(requests_init);
module_exit(requests_exit);
MODULE_DESCRIPTION("Ask the allocators in many ways");
MODULE_LICENSE("GPL");
