// SPDX-License-Identifier: GPL-2.0-only
/*
 * lab_pages - ask the page allocator for blocks, and say what it gives
 *
 *	insmod /lib/modules/lab_pages.ko [bytes=131072,135168,...] [keep=N]
 *
 * By default 128 KiB, which fill a block of order 5; 132 KiB, which take one of order 6
 * and waste 124 KiB; the largest block; and one byte more than that, which fails. Then
 * 132 KiB again with alloc_pages_exact(), which gives back what is too much.
 *
 * With keep=N it asks N times for each size, and keeps the blocks until all are asked for:
 * the free lists run out. Then interrupts are off and it never waits, so whoever is
 * stopped in lab_pages_asks() sees the lists from which the next block comes.
 *
 * Stop in lab_pages_asks() and lab_pages_got(), and compare `lab fit` with `lab buddy`.
 */
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

#define MOST 16

/* KMALLOC_MAX_SIZE is the size of the largest block, whatever MAX_ORDER counts */
static unsigned long bytes[MOST] = {
	128 << 10, 132 << 10, KMALLOC_MAX_SIZE, KMALLOC_MAX_SIZE + 1
};

static int count = 4;
module_param_array(bytes, ulong, &count, 0444);
MODULE_PARM_DESC(bytes, "how many bytes to ask for, one request after the other");

static unsigned int keep;
module_param(keep, uint, 0444);
MODULE_PARM_DESC(keep, "how many blocks of each size to take and keep until the end");

static LIST_HEAD(kept);

/* Before a request: the block it will get is still free */
static noinline void lab_pages_asks(unsigned long size, unsigned int order)
{
	pr_info("lab_pages: %lu bytes need order %u\n", size, order);
}

/* After it: the block is ours */
static noinline void lab_pages_got(struct page *page, unsigned long size, unsigned int order)
{
	unsigned long wasted = (PAGE_SIZE << order) - size;

	pr_info("lab_pages: pfn %#lx, order %u, %lu bytes wasted\n", page_to_pfn(page), order,
		wasted);
	pr_info("lab_pages: page %#lx, virt %#lx, phys %#llx\n", (unsigned long)page,
		(unsigned long)page_address(page), (u64)virt_to_phys(page_address(page)));
}

static void ask(unsigned long size)
{
	unsigned int order = get_order(size);
	struct page *page;

	lab_pages_asks(size, order);
	/* The allocator warns of an order that no block has */
	page = alloc_pages(GFP_KERNEL | __GFP_NOWARN, order);
	if (!page) {
		pr_info("lab_pages: no block of order %u\n", order);
		return;
	}
	lab_pages_got(page, size, order);
	__free_pages(page, order);
}

static void ask_exact(unsigned long size)
{
	void *start = alloc_pages_exact(size, GFP_KERNEL);

	if (!start)
		return;
	pr_info("lab_pages: %lu bytes exactly, at pfn %#lx: %lu pages\n", size,
		page_to_pfn(virt_to_page(start)), PAGE_ALIGN(size) / PAGE_SIZE);
	free_pages_exact(start, size);
}

/* Take a block without waiting, and keep it: its first bytes are the link and the order */
struct block {
	struct list_head list;
	unsigned int order;
};

static bool take(unsigned long size)
{
	unsigned int order = get_order(size);
	unsigned long flags;
	struct block *block;
	struct page *page;

	local_irq_save(flags);
	lab_pages_asks(size, order);
	page = alloc_pages(GFP_NOWAIT | __GFP_NOWARN, order);
	if (page)
		lab_pages_got(page, size, order);
	local_irq_restore(flags);
	if (!page) {
		pr_info("lab_pages: no block of order %u\n", order);
		return false;
	}
	block = page_address(page);
	block->order = order;
	list_add(&block->list, &kept);
	return true;
}

static void give_back(void)
{
	struct block *block, *next;

	list_for_each_entry_safe(block, next, &kept, list) {
		list_del(&block->list);
		free_pages((unsigned long)block, block->order);
	}
}

static int __init lab_pages_init(void)
{
	unsigned int left;
	int i;

	for (i = 0; i < count; i++) {
		if (!keep)
			ask(bytes[i]);
		for (left = keep; left && take(bytes[i]); left--)
			;
	}
	if (!keep)
		ask_exact(132 << 10);
	give_back();
	return 0;
}

static void __exit lab_pages_exit(void)
{
}

module_init(lab_pages_init);
module_exit(lab_pages_exit);
MODULE_DESCRIPTION("Ask the page allocator for blocks of several orders");
MODULE_LICENSE("GPL");
