// SPDX-License-Identifier: GPL-2.0-only
/*
 * requests - ask the allocators in many ways, and print each request and its answer
 *
 * Pages: flags as %pGg prints them, of several orders; and in an interrupt.
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
	return 0;
}

static void __exit requests_exit(void)
{
}

module_init(requests_init);
module_exit(requests_exit);
MODULE_DESCRIPTION("Ask the allocators in many ways");
MODULE_LICENSE("GPL");
