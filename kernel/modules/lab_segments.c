// SPDX-License-Identifier: GPL-2.0-only
/*
 * lab_segments - print where the kernel's own memory is
 *
 *	insmod /lib/modules/lab_segments.ko
 *
 * The regions of the kernel's half of the address space, as `lab kernel` shows them, and
 * one address of each kind with its physical one, as `lab translate` does.
 */
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

static int variable; /* in the module's own data */

static void region(const char *name, unsigned long start, unsigned long end)
{
	pr_info("lab_segments: %#lx-%#lx %s\n", start, end, name);
}

static void address(const char *name, unsigned long virt, phys_addr_t phys)
{
	pr_info("lab_segments: %#lx is at %#llx: %s\n", virt, (u64)phys, name);
}

static int __init lab_segments_init(void)
{
	void *small = kmalloc(100, GFP_KERNEL), *large = vmalloc(3 * PAGE_SIZE);
	phys_addr_t place;

	if (!small || !large) {
		kfree(small);
		vfree(large);
		return -ENOMEM;
	}
	region("direct map", PAGE_OFFSET, (unsigned long)high_memory);
	region("vmalloc", VMALLOC_START, VMALLOC_END);
	region("vmemmap", VMEMMAP_START, (unsigned long)(virt_to_page(high_memory - 1) + 1));
	region("kernel image", __START_KERNEL_map, __START_KERNEL_map + KERNEL_IMAGE_SIZE);
	region("modules", MODULES_VADDR, MODULES_END);
	region("this module", (unsigned long)&variable, (unsigned long)(&variable + 1));

	address("kmalloc()", (unsigned long)small, virt_to_phys(small));
	place = PFN_PHYS(vmalloc_to_pfn(large)) + offset_in_page(large);
	address("vmalloc()", (unsigned long)large, place);
	place = PFN_PHYS(vmalloc_to_pfn(&variable)) + offset_in_page(&variable);
	address("a module's data", (unsigned long)&variable, place);
	address("the kernel's image", (unsigned long)&init_task, __pa(&init_task));
	kfree(small);
	vfree(large);
	return 0;
}

static void __exit lab_segments_exit(void)
{
}

module_init(lab_segments_init);
module_exit(lab_segments_exit);
MODULE_DESCRIPTION("Print where the kernel's own memory is");
MODULE_LICENSE("GPL");
