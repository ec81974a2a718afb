# SPDX-License-Identifier: GPL-2.0-only
"""Structures as classes: members are read by name, wherever this kernel puts them."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any, Optional

import pytest

import made_up
from lab.linux import lists, maple
from lab.linux.structs import (
    exec,
    fs,
    irq,
    lib,
    mm_types,
    mmzone,
    printk,
    sched,
    slub,
    vmalloc,
    x86,
)
from lab.schema import heading
from lab.target import cstruct, kernel, structs
from lab.target.cstruct import S32, U32, U64, Ptr, Raw, Struct, at
from lab.target.layout import Layout, LayoutFile
from lab.target.memory import Fault
from lab.target.symbols import Missing
from made_up import Guest


class Plain(Struct, name="struct mm_struct"):
    """Some members of an mm."""

    map_count: S32
    users: S32 = at("mm_users.counter")
    saved_auxv: Raw
    nowhere: Optional[U64] = at("no_such_member")
    pgd: Ptr[object]


def test_values_by_name(guest: Guest) -> None:
    given = {"map_count": -5, "mm_users.counter": 7, "pgd": 1 << 63, "saved_auxv": b"x"}
    read = Plain(kernel.memory(), guest.put("struct mm_struct", given))
    assert (read.map_count, read.users, read.pgd) == (-5, 7, 1 << 63)
    assert read.saved_auxv[:2] == b"x\0"
    assert read.nowhere is None


def test_three_ways_to_read_one(guest: Guest) -> None:
    place = guest.put("struct mm_struct", {"map_count": 3})
    size = guest.layout.lookup_type("struct mm_struct").size
    read = Plain(kernel.memory(), place)
    assert read == Plain.reader(kernel.memory())(place)
    assert read == Plain.of(place, guest.read(place, size))
    assert read.address == place


def test_it_is_no_tuple_to_its_users(guest: Guest) -> None:
    read: Any = Plain(kernel.memory(), guest.put("struct mm_struct"))
    with pytest.raises(TypeError):
        read[0]
    with pytest.raises(TypeError):
        list(read)
    with pytest.raises(AttributeError):
        read.map_count = 1


def test_where_nothing_is(guest: Guest) -> None:
    with pytest.raises(Fault):
        Plain(kernel.memory(), made_up.PAGE_OFFSET + made_up.SIZE)


def test_one_that_stands_nowhere(guest: Guest) -> None:
    members = {member.name: n for n, member in enumerate(x86.PtRegs.declared)}
    made = x86.PtRegs.holding(**members)
    assert made.address == 0
    assert {name: getattr(made, name) for name in members} == members
    with pytest.raises(KeyError, match="ax"):
        x86.PtRegs.holding(**{name: 0 for name in members if name != "ax"})
    with pytest.raises(TypeError, match="struct pt_regs has no zx"):
        x86.PtRegs.holding(**members, zx=1)


def test_another_type_than_declared_is_missing(guest: Guest) -> None:
    class Wrong(Struct, name="struct mm_struct"):
        map_count: U64

    with pytest.raises(Missing, match="map_count is no U64"):
        Wrong.form()


@pytest.mark.parametrize("wrong", ["struct no_such", "struct mm_struct"])
def test_what_is_missing_is_said(guest: Guest, wrong: str) -> None:
    class Wrong(Struct, name=wrong):
        no_such: U64

    with pytest.raises(Missing):
        Wrong.form()


def test_overlapping_members_are_a_mistake(guest: Guest) -> None:
    class Wrong(Struct, name="struct page"):
        mapping: Ptr[object]
        compound_head: U64
        index: U64
        flags: U64
        again: U64 = at("flags")

    with pytest.raises(TypeError, match="overlaps"):
        Wrong.form()


def test_a_member_has_a_c_type() -> None:
    with pytest.raises(TypeError, match="has no C type"):

        class Wrong(Struct, name="struct page"):
            flags: int


ALL = [
    kind
    for module in (
        exec,
        fs,
        irq,
        lib,
        mm_types,
        mmzone,
        printk,
        sched,
        slub,
        vmalloc,
        x86,
    )
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Struct) and kind is not Struct
]
# The classes that cannot be read in a layout's kernel
ABSENT = {
    "5.10.223": {
        "MapleTree",  # since v6.1
        "MapleNode",
        "Folio",  # since v5.16
        "ModuleMemory",  # since v6.4
        "PerCpuZonestat",  # since v5.14
        "Slab",  # since v5.17
    },
    "6.1": {
        "VmAreaInTree",  # until v6.1
        "ModuleMemory",  # since v6.4
        "PerCpuPageset",  # until v5.14
        "SlabPage",  # until v5.17
    },
}
# Members that no layout has, with their types: each is here a second time, for a typo to show
IN_NO_LAYOUT = {
    ("irq_cpustat_t", "irq_thermal_count", "U32"),  # CONFIG_X86_THERMAL_VECTOR
    ("irq_cpustat_t", "irq_threshold_count", "U32"),  # CONFIG_X86_MCE_THRESHOLD
    ("irq_cpustat_t", "irq_deferred_error_count", "U32"),  # CONFIG_X86_MCE_AMD
    ("irq_cpustat_t", "irq_hv_reenlightenment_count", "U32"),  # CONFIG_HYPERV
    ("irq_cpustat_t", "hyperv_stimer0_count", "U32"),  # CONFIG_HYPERV
    ("struct folio", "_entire_mapcount.counter", "S32"),  # since v6.3, 94688e8eb453
    ("struct module_memory", "base", "Ptr"),  # since v6.4, ac3b43283923
    ("struct module_memory", "size", "U32"),
    ("struct zone", "cma_pages", "U64"),  # CONFIG_CMA
    ("struct mm_struct", "mmap_compat_base", "U64"),  # CONFIG_COMPAT
    ("struct kmem_cache", "random", "U64"),  # CONFIG_SLAB_FREELIST_HARDENED
}
# Optional members that all layouts have: what takes them from other kernels
OPTIONAL_ELSEWHERE = {
    ("irq_cpustat_t", "__softirq_pending"): "until v6.2, e57ef2ed97c1",
    ("irq_cpustat_t", "apic_timer_irqs"): "CONFIG_X86_LOCAL_APIC",
    ("irq_cpustat_t", "irq_spurious_count"): "CONFIG_X86_LOCAL_APIC",
    ("irq_cpustat_t", "icr_read_retry_count"): "CONFIG_X86_LOCAL_APIC",
    ("irq_cpustat_t", "irq_resched_count"): "CONFIG_SMP",
    ("irq_cpustat_t", "irq_call_count"): "CONFIG_SMP",
    ("irq_cpustat_t", "irq_hv_callback_count"): "CONFIG_X86_HV_CALLBACK_VECTOR",
    ("irq_cpustat_t", "kvm_posted_intr_ipis"): "CONFIG_HAVE_KVM",
    ("irq_cpustat_t", "kvm_posted_intr_nested_ipis"): "CONFIG_HAVE_KVM",
    ("irq_cpustat_t", "kvm_posted_intr_wakeup_ipis"): "CONFIG_HAVE_KVM",
    ("struct kmem_cache", "cpu_slab"): "CONFIG_SLUB",
    ("struct kmem_cache", "min_partial"): "CONFIG_SLUB",
    ("struct kmem_cache", "offset"): "CONFIG_SLUB",
    ("struct kmem_cache", "oo.x"): "CONFIG_SLUB",
    ("struct kmem_cache", "inuse"): "CONFIG_SLUB",
    ("struct kmem_cache", "red_left_pad"): "CONFIG_SLUB",
    ("struct kmem_cache_cpu", "partial"): "CONFIG_SLUB_CPU_PARTIAL",
    ("struct kmem_cache_node", "nr_slabs.counter"): "CONFIG_SLUB_DEBUG",
    ("struct kmem_cache_node", "total_objects.counter"): "CONFIG_SLUB_DEBUG",
    ("struct linux_binfmt", "core_dump"): "CONFIG_COREDUMP",
    ("struct module", "kallsyms"): "CONFIG_KALLSYMS",
    ("struct module", "sect_attrs"): "CONFIG_SYSFS",
    ("struct module", "exit"): "CONFIG_MODULE_UNLOAD",
    ("struct module", "refcnt.counter"): "CONFIG_MODULE_UNLOAD",
    ("struct module", "percpu_size"): "CONFIG_SMP",
    ("struct mm_struct", "get_unmapped_area"): "until v6.10, 529ce23a764f",
    ("struct mm_struct", "pgtables_bytes.counter"): "CONFIG_MMU",
    ("struct mm_struct", "hugetlb_usage.counter"): "CONFIG_HUGETLB_PAGE",
    ("struct page", "compound_dtor"): "in struct folio later",
    ("struct page", "compound_order"): "in struct folio later",
    ("struct page", "compound_mapcount.counter"): "in struct folio later",
    ("struct task_struct", "rss_stat"): "until v6.2, f1a7941243c1",
    ("struct task_struct", "sysvsem.undo_list"): "CONFIG_SYSVIPC",
    ("struct task_struct", "io_context"): "CONFIG_BLOCK",
    ("struct task_struct", "stack_refcount.refs.counter"): "CONFIG_THREAD_INFO_IN_TASK",
}


def look_up(kind: type[Struct]) -> None:
    """Look up a structure and its members. Raises Missing."""
    structs.lookup_type(kind.c_name)
    kind.form()


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_structure_is_that_of_the_kernel(
    guest: Guest, kind: type[Struct]
) -> None:
    """Its name and its members' names and types agree with the kernel's debug info."""
    if kind.__name__ not in ABSENT[guest.layout.kernel]:
        look_up(kind)
        return
    with pytest.raises(Missing):
        look_up(kind)


def members_by_layout(folder: Path) -> dict[tuple[str, str], list[bool]]:
    """Tell of each declared member, by structure and path, which layouts have it."""
    found: dict[tuple[str, str], list[bool]] = {}
    for name in sorted(made_up.LAYOUTS):
        guest = made_up.Guest(made_up.layout(name), folder)
        for kind in ALL:
            for member in kind.declared:
                has = structs.has_type(kind.c_name) and guest.has(
                    kind.c_name, member.path
                )
                found.setdefault((kind.c_name, member.path), []).append(has)
    return found


def test_every_member_is_one_of_a_kernel_s(tmp_path: Path) -> None:
    """Some layout has it, or it is among those that stand above a second time."""
    found = members_by_layout(tmp_path)
    declared = {
        (kind.c_name, member.path, member.type)
        for kind in ALL
        for member in kind.declared
    }
    assert {entry for entry in declared if not any(found[entry[:2]])} == IN_NO_LAYOUT


def test_an_optional_member_is_missing_somewhere(tmp_path: Path) -> None:
    """Some layout lacks it, or it is among those of which a reason is given above."""
    found = members_by_layout(tmp_path)
    optional = {
        (kind.c_name, member.path)
        for kind in ALL
        for member in kind.declared
        if member.optional
    }
    assert {key for key in optional if all(found[key])} == {*OPTIONAL_ELSEWHERE}


def moved(found: Layout, seed: int) -> Layout:
    """Return the same kernel with the members of all structures moved."""
    source = random.Random(seed)
    data: dict[str, Any] = {
        **heading(LayoutFile),
        "kernel": found.kernel,
        "release": found.release,
        "types": copy.deepcopy(found._types),
        "symbols": found.symbols,
        "constants": found.constants,
    }
    for kind in data["types"].values():
        if kind["kind"] != "struct":
            continue
        members = list(kind["fields"].items())
        source.shuffle(members)
        end = 0
        for member, (_, bits, inner) in members:
            kind["fields"][member] = [8 * end, bits, inner]
            end += -(-data["types"][inner]["size"] // 8) * 8 + 8
        kind["size"] = max(kind["size"], end)
    return Layout(data)


@pytest.mark.parametrize("seed", range(3))
def test_reordered_members_change_nothing(tmp_path: Path, seed: int) -> None:
    """Linux 6.12 swaps those of struct maple_tree."""
    guest = made_up.Guest(moved(made_up.layout("6.1"), seed), tmp_path)
    tree = guest.put("struct maple_tree", {"ma_root": 0x1234_5678, "ma_flags": 0x30B})
    read = maple.maple_tree(tree)
    assert (read.ma_root, read.ma_flags) == (0x1234_5678, 0x30B)


def test_maple_tree_the_other_way_round(new: Guest, tmp_path: Path) -> None:
    data = json.loads(made_up.LAYOUTS["6.1"].read_text())
    fields = data["types"]["struct maple_tree"]["fields"]
    fields["ma_root"][0], fields["ma_flags"][0] = 64, 32
    guest = made_up.Guest(Layout(data), tmp_path)
    tree = guest.put("struct maple_tree", {"ma_root": 0xABC0, "ma_flags": 0x20})
    assert guest.read(tree + 4, 4) == b"\x20\0\0\0"
    read = maple.maple_tree(tree)
    assert (read.ma_root, read.ma_flags) == (0xABC0, 0x20)


def test_a_list_the_other_way_round(tmp_path: Path) -> None:
    data = json.loads(made_up.LAYOUTS["6.1"].read_text())
    fields = data["types"]["struct list_head"]["fields"]
    fields["next"][0], fields["prev"][0] = 64, 0
    guest = made_up.Guest(Layout(data), tmp_path)
    head, first, second = (guest.room(16) for _ in range(3))
    guest.link(head, first, second)
    assert guest.read(head, 8) == second.to_bytes(8, "little")
    assert list(lists.list_for_each(head)) == [first, second]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_member_is_its_own(tmp_path: Path, kind: type[Struct]) -> None:
    """In a kernel whose members have moved, each is read from its new place."""
    for name in made_up.LAYOUTS:
        guest = made_up.Guest(moved(made_up.layout(name), 1), tmp_path)
        try:
            size = kind.form().size
        except Missing:
            continue
        if not structs.has_type(kind.c_name):  # so it has no members either
            continue
        place = guest.room(max(size, guest.layout.lookup_type(kind.c_name).size))
        expected = {}
        for number, member in enumerate(kind.declared, start=1):
            if guest.has(kind.c_name, member.path):
                value: int | bytes = number
                if member.type == "Raw":
                    value = bytes([number])
                guest.set(kind.c_name, place, member.path, value)
                expected[member.name] = value
        read = kind(kernel.memory(), place)
        for name, value in expected.items():
            found = getattr(read, name)
            assert found[:1] == value if isinstance(value, bytes) else found == value


def test_no_structure_is_declared_twice() -> None:
    names = [kind.c_name for kind in ALL]
    twice = {name for name in names if names.count(name) > 1}
    # A page's members overlap, and the red-black tree is read with members of its own
    assert twice == {"struct page", "struct vm_area_struct"}


def test_the_types_of_members_are_known() -> None:
    assert {member.type for kind in ALL for member in kind.declared} <= set(
        cstruct.FITS
    )


def test_a_list_head(guest: Guest) -> None:
    first, second = guest.room(16), guest.room(16)
    guest.link(first, second)
    read = lib.ListHead(kernel.memory(), first)
    assert (read.next, read.prev) == (second, second)


def test_unsigned_and_signed(guest: Guest) -> None:
    class Both(Struct, name="struct mm_struct"):
        users: S32 = at("mm_users.counter")
        map_count: S32

    class Other(Struct, name="struct task_struct"):
        flags: U32

    mm = guest.put("struct mm_struct", {"map_count": -1, "mm_users.counter": 1 << 31})
    assert Both(kernel.memory(), mm).map_count == -1
    assert Both(kernel.memory(), mm).users == -(1 << 31)
    task = guest.put("struct task_struct", {"flags": -1})
    assert Other(kernel.memory(), task).flags == 0xFFFF_FFFF
