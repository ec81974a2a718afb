# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb: read the same memory in several ways, at a stop in the kernel.

Sourced at a hit. QEMU decides what is right: its stub reads virtual memory through the
processor's own page tables, its monitor translates with gva2gpa.
"""

import json
import os
import random
import re

import gdb
from lab.linux import mm, task, vma
from lab.target import kernel, memory, structs

PAGE = memory.PAGE_SIZE
random.seed(1)
fast = kernel.memory()
slow = memory.Memory(memory.Stub())
for fact in ("page_offset", "phys_base", "kernel_pgd", "levels"):
    setattr(slow, fact, getattr(fast, fact))
slow.physical.page_offset = fast.page_offset
current = task.task(task.get_current())
pgd = mm.virt_to_phys(mm.mm_struct(current.mm).pgd)
gdb.execute(f"monitor cpu {gdb.selected_thread().num - 1}", to_string=True)


def by_stub(address: int, size: int) -> bytes | None:
    """Read through the stub, as the stopped CPU does."""
    try:
        return bytes(gdb.selected_inferior().read_memory(address, size))
    except gdb.MemoryError:
        return None


def by_us(read, *arguments) -> bytes | int | None:
    """Return what a function of the lab returns, None for a Fault."""
    try:
        return read(*arguments)
    except memory.Fault:
        return None


def gva2gpa(address: int) -> int | None:
    """Translate with QEMU's monitor."""
    output = gdb.execute(f"monitor gva2gpa {address:#x}", to_string=True)
    found = re.search(r"gpa: (0x[0-9a-f]+)", output)
    return int(found[1], 16) if found else None


def page_kind(address: int) -> str:
    """Return the size of the page at an address, from the entries of its tables."""
    table = pgd
    for level in range(fast.levels, 0, -1):
        slot = table + (address >> (3 + 9 * level) & 511) * 8
        entry = int.from_bytes(by_stub(fast.page_offset + slot, 8), "little")
        if not entry & 1:
            return "none"
        if level == 1 or level < 4 and entry & 0x80:
            return {1: "4K", 2: "2M", 3: "1G"}[level]
        table = entry & memory.PHYSICAL_MASK
    return "none"


def user_pages() -> list[int]:
    """Return a few pages of each area, present or not."""
    pages = []
    for area in vma.for_each_vma(current.mm):
        span = range(area.vm_start, area.vm_end, PAGE)
        pages += sorted({span[0], span[-1], *random.choices(span, k=6)})
    return pages


def kernel_places() -> list[int]:
    """Return addresses in all kinds of kernel memory."""
    stack = task.register("rsp")
    image = structs.address_of("_text"), structs.address_of("_end") - 8
    places = [stack, current.address, current.mm, *image]
    places += [random.randrange(*image) & -8 for _ in range(60)]
    places += (
        [task.this_cpu_base() + structs.address_of("cpu_number")] if per_cpu() else []
    )
    places += [kernel.memory().u64(structs.address_of("vmemmap_base")) + 64 * 4096]
    for block in fast.physical.blocks:
        for _ in range(120):
            physical = random.randrange(block.start, block.end - 8) & -8
            places.append(fast.page_offset + physical)
    return places


def per_cpu() -> bool:
    return structs.has_symbol("cpu_number")


def compare() -> dict:
    """Return everything in which two ways differ, and how much was compared."""
    differs, kinds, nonzero, translated, unmapped = [], {}, 0, 0, 0
    for address in kernel_places():
        results = by_us(fast.read, address, 8), by_us(slow.read, address, 8)
        if not results[0] == results[1] == by_stub(address, 8):
            differs.append(f"kernel {address:#x}")
        nonzero += address > fast.page_offset + (4 << 30) and any(results[0] or b"")
        ours = by_us(fast.translate, pgd, address)
        if ours != gva2gpa(address):
            differs.append(f"translation of {address:#x}")
        kind = page_kind(address)
        kinds[kind] = kinds.get(kind, 0) + 1
    for address in user_pages():
        results = [by_us(way.read_mapped, pgd, address, PAGE) for way in (fast, slow)]
        if not results[0] == results[1] == by_stub(address, PAGE):
            differs.append(f"user {address:#x}")
        ours = by_us(fast.translate, pgd, address + 123)
        if ours != gva2gpa(address + 123):
            differs.append(f"translation of user {address:#x}")
        translated += ours is not None
        unmapped += ours is None
    return {
        "differs": differs,
        "kinds": kinds,
        "above 4G": nonzero,
        "user pages": translated,
        "absent user pages": unmapped,
    }


def across_borders() -> list[str]:
    """Read from one page into the next."""
    stack = task.register("rsp") & -PAGE
    text = structs.address_of("_text") + (1 << 21)
    direct = current.address & -PAGE
    wrong = []
    for border in (stack + PAGE, text, direct + PAGE):
        for size in (2, 16, PAGE, 2 * PAGE + 10):
            at = border - size // 2
            if by_us(fast.read, at, size) != by_stub(at, size):
                wrong.append(f"{size} bytes at {at:#x}")
    area = next(
        area
        for area in vma.for_each_vma(current.mm)
        if all(by_stub(area.vm_start + i * PAGE, 1) for i in range(3))
        and area.vm_end - area.vm_start >= 3 * PAGE
    )
    for size in (2, 16, 2 * PAGE + 10):
        at = area.vm_start + 3 * PAGE // 2 - size // 2
        if by_us(mm.access_process_vm, current.mm, at, size) != by_stub(at, size):
            wrong.append(f"{size} user bytes at {at:#x}")
    return wrong


def unreadable() -> dict[str, list]:
    """Read where nothing is mapped: both ways must return nothing."""
    offset, last = fast.page_offset, fast.physical.blocks[-1].end
    places = {
        "NULL": 0,
        "guard page of the stack": (task.register("rsp") & -(1 << 14)) - PAGE,
        "behind RAM": offset + last,
        "over the end of RAM": offset + last - 4,
        "hole": offset + 0xE0000000,
        "not canonical": current.mm & (1 << 48) - 1,
        "not canonical, by one bit": current.mm ^ 1 << 62,
        "the last bytes": (1 << 64) - 8,
        "over the end of all": (1 << 64) - 4,
    }
    return {
        name: [by_us(way.read, address, 8) is not None for way in (fast, slow)]
        for name, address in places.items()
    }


result = {
    "fast": kernel.is_fast(),
    "levels": fast.levels,
    **compare(),
    "borders": across_borders(),
    "unreadable": {k: v for k, v in unreadable().items() if any(v)},
}
with open(os.environ["LAB_RESULT"], "w", encoding="ascii") as out:
    json.dump(result, out)
