# SPDX-License-Identifier: GPL-2.0-only
"""What is random: ranges for all kinds of process, the kernel's places, its configuration."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from lab.linux import configs, elf_randomize, kaslr
from lab.linux.elf_randomize import Process, Spread
from lab.linux.structs.mm_types import MmStruct
from lab.reports import random as report
from lab.target import kernel
from lab.target.cstruct import Ptr
from lab.target.memory import Broken
from made_up import Guest

TOP = 0x7FFF_FFFF_F000
TOP_32BIT = 0xFFFF_E000
GIB, TIB = 1 << 30, 1 << 40
MIB = 1 << 20
INFINITE = (1 << 64) - 1


def process(guest: Guest, flags: int = 0, limit: int = 8 * MIB, **mm: int) -> Process:
    """A process; top down unless get_unmapped_area says something else."""
    for name, value in (("mmap_rnd_bits", 28), ("stack_guard_gap", 256 * 4096)):
        guest.variable(name, value)
    members = {"task_size": TOP, "get_unmapped_area": topdown(guest)} | mm
    signal = guest.put("struct signal_struct", {"rlim[3].rlim_cur": limit})
    address = guest.put("struct mm_struct", members)
    task = guest.put("struct task_struct", {"flags": flags, "signal": signal})
    return elf_randomize.process(Ptr(task), Ptr(address))


def topdown(guest: Guest) -> int:
    return guest.symbol("arch_get_unmapped_area_topdown")


def layout(of: Process) -> elf_randomize.Layout:
    found = elf_randomize.mmap_layout(of)
    assert found is not None
    return found


RANDOM = elf_randomize.PF_RANDOMIZE


def test_a_spread() -> None:
    spread = Spread(0x1000, -0x10, 4, slack=1)
    assert [spread.has(0x1000 - 0x10 * i) for i in (-1, 0, 4, 5)] == [
        *(False, True, True, False)
    ]
    assert not spread.has(0x1000 - 8) and spread.bits == 2


def test_the_layout_without_randomisation(guest: Guest) -> None:
    """The kernel keeps 128 MiB for the stack, or its limit if that is more."""
    found = layout(process(guest))
    assert found.unrandomised == found.base.start == 0x7FFF_F7FF_F000
    assert found.base.places == 1
    large = layout(process(guest, limit=GIB))
    assert large.unrandomised == TOP - GIB - 256 * 4096
    endless = layout(process(guest, limit=INFINITE))
    assert endless.unrandomised == -(-(TOP - TOP // 6 * 5) // 4096) * 4096


def test_the_layout_with_randomisation(guest: Guest) -> None:
    """It leaves room for the stack to move: 16 GiB less a page."""
    found = layout(process(guest, RANDOM))
    room = 0x3F_FFFF * 4096
    assert found.base.start == TOP - 8 * MIB - 256 * 4096 - room
    assert found.unrandomised == 0x7FFF_F7FF_F000 and found.base.places == 1 << 28
    assert found.base.step == -4096 and found.topdown


def test_the_legacy_layout(guest: Guest) -> None:
    bottom_up = guest.symbol("arch_get_unmapped_area")
    found = layout(process(guest, RANDOM, get_unmapped_area=bottom_up))
    third = -(-(TOP // 3) // 4096) * 4096
    assert found.base == Spread(third, 4096, 1 << 28) and not found.topdown
    assert found.place(third, 0x3000, 0x1000) == third + 0x3000


def test_a_layout_that_is_none(guest: Guest) -> None:
    assert elf_randomize.mmap_layout(process(guest, get_unmapped_area=0)) is None


def test_a_32bit_process(guest: Guest) -> None:
    """Fewer bits: 11 for the stack, 8 for mmap_base, 13 for the heap."""
    guest.symbol("mmap_rnd_compat_bits", 4)
    of = process(guest, RANDOM, task_size=TOP_32BIT)
    guest.variable("mmap_rnd_compat_bits", 8)
    assert of.is_32bit and of.stack_top == TOP_32BIT
    assert elf_randomize.stack_end(of).bits == 11
    found = layout(of)
    assert found.base.bits == 8
    assert found.unrandomised == TOP_32BIT - 128 * MIB
    assert found.base.start == TOP_32BIT - 128 * MIB  # 8 MiB more are within these
    assert elf_randomize.program(of, 0, 4096).start == 0x40_0000
    heap = elf_randomize.heap(of, 0x50_0800, is_loader=False)
    assert heap is not None and heap.start == 0x50_1000 and heap.bits == 13


def test_the_compat_base_counts_for_32_bits(guest: Guest) -> None:
    guest.has_also("struct mm_struct", "mmap_compat_base", "unsigned long")
    MmStruct.forget()
    of = process(guest, mmap_base=1 << 40, mmap_compat_base=1 << 31, task_size=1 << 32)
    assert elf_randomize.mmap_base_of(of) == 1 << 31
    MmStruct.forget()


@pytest.mark.parametrize(
    ("vaddr", "align", "start", "bits"),
    [
        (0, 0x1000, 0x5555_5555_4000, 28),
        (0x40_0000, 0x1000, 0x5555_5555_4000, 28),
        (0, 2 * MIB, 0x5555_5540_0000, 19),
        (0, 1 << 62, 0, 0),
    ],
)
def test_a_program(guest: Guest, vaddr: int, align: int, start: int, bits: int) -> None:
    """A larger alignment costs bits."""
    found = elf_randomize.program(process(guest, RANDOM), vaddr, align)
    assert (found.start, found.bits) == (start, bits)
    assert elf_randomize.program(process(guest), vaddr, align).places == 1


def test_a_heap_of_unknown_range(guest: Guest, monkeypatch: Any) -> None:
    """Nobody disassembles made-up RAM."""
    guest.variable("randomize_va_space", 2)
    of = process(guest, RANDOM, start_brk=0x70_0000)
    assert elf_randomize.heap(of, 0x50_0000, is_loader=False) is None
    monkeypatch.setattr(elf_randomize, "brk_range", lambda: 32 * MIB)
    found = elf_randomize.heap(of, 0x50_0000, is_loader=False)
    assert found == Spread(0x50_0000, 4096, 8192, 1)
    loader = elf_randomize.heap(of, 0x50_0000, is_loader=True)
    assert loader == Spread(0x5555_5555_5000, 4096, 8191, 1)
    monkeypatch.setattr(elf_randomize, "moves_brk_always", lambda: True)
    loader = elf_randomize.heap(of, 0x50_0000, is_loader=True)
    assert loader == Spread(0x5555_5555_5000, 4096, 8192, 1)


def test_a_heap_behind_the_program(guest: Guest, monkeypatch: Any) -> None:
    """Also where randomize_va_space has changed since the exec."""
    monkeypatch.setattr(elf_randomize, "brk_range", lambda: 32 * MIB)
    for setting, start, places in (
        (1, 0x50_1000, 1),
        (1, 0x60_0000, 8192),
        (2, 0x50_1000, 8192),
    ):
        guest.variable("randomize_va_space", setting)
        of = process(guest, RANDOM, start_brk=start)
        found = elf_randomize.heap(of, 0x50_0800, is_loader=False)
        assert found is not None and found.places == places and found.has(start)


def test_the_vdso_at_the_end_of_the_users_half(guest: Guest) -> None:
    """There is no room for it."""
    of = process(guest, arg_start=TOP - 0x100)
    assert elf_randomize.vdso_addr(of, 0x5000) == Spread(TOP, 4096, 1)
    below = process(guest, arg_start=TOP - 2 * MIB - 0x100)
    assert (
        elf_randomize.vdso_addr(below, 0x5000).places == (2 * MIB - 0x5000) // 4096 + 1
    )


# --- The kernel ------------------------------------------------------------------

# Between the direct map's first place and the CPU entry areas, less the three regions
LEFT = (0xFFFF_FE00_0000_0000 - 0xFFFF_8880_0000_0000) - (1 + 32 + 1) * TIB


def image(guest: Guest) -> kaslr.Image:
    guest.variable("max_pfn", 65536)
    return kaslr.Image(0, kernel.memory().read)


def flag(guest: Guest, loadflags: int) -> None:
    place = guest.layout.address_of("boot_params")
    guest.set("struct boot_params", place, "hdr.loadflags", loadflags)


def test_regions_that_could_be_moved(guest: Guest) -> None:
    """Of 117.5 TiB each gets a third, a half, all of what is left: half of that is used."""
    flag(guest, 1)
    for name in kaslr.BASES:
        guest.without_symbol(name)
    found = image(guest).movable_regions({})
    assert [region.places for region in found] == [None] * 3
    for name, base in zip(kaslr.BASES, (0xFFFF_8880 << 32, 0xFFFF_C900 << 32, 0)):
        guest.symbol(name)
        guest.variable(name, base)
    direct, vmalloc, vmemmap = image(guest).movable_regions({})
    assert direct.entropy == LEFT // 3
    assert vmalloc.entropy == (LEFT - LEFT // 6) // 2
    assert vmemmap.entropy == LEFT - LEFT // 6 - vmalloc.entropy // 2
    assert not image(guest).memory_is_randomised({})


def test_regions_that_were_moved(guest: Guest) -> None:
    """The later ones get what the earlier have not used."""
    flag(guest, 3)
    bases = [0xFFFF_8880 << 32, 0xFFFF_C900 << 32, 0xFFFF_EA00 << 32]
    bases = [base + 5 * GIB for base in bases]
    for name, base in zip(kaslr.BASES, bases):
        if name not in guest.layout.symbols:
            guest.symbol(name)
        guest.variable(name, base)
    found = image(guest).movable_regions({})
    assert [region.base - region.fixed for region in found] == [5 * GIB] * 3
    assert found[1].entropy == (LEFT - 5 * GIB) // 2
    assert image(guest).memory_is_randomised({})
    assert not image(guest).memory_is_randomised({"CONFIG_KASAN": "y"})


def test_padding_and_devices_take_room(guest: Guest) -> None:
    flag(guest, 3)
    plain, padded, devices = (
        image(guest).movable_regions(options)[0].entropy
        for options in (
            {},
            {kaslr.PHYSICAL_PADDING: "0xa"},
            {"CONFIG_ZONE_DEVICE": "y"},
        )
    )
    assert plain is not None and padded is not None and plain - padded == 10 * TIB // 3
    assert devices is None


def test_slots_of_the_image(guest: Guest) -> None:
    places, step = image(guest).virtual_places({})
    assert step == 2 * MIB and 400 < places < 505
    large, step = image(guest).virtual_places({kaslr.PHYSICAL_ALIGN: "0x1000000"})
    assert step == 16 * MIB and large < 64


@pytest.mark.parametrize("bits", [-1, 41, 1 << 30])
def test_a_damaged_number_of_bits(guest: Guest, bits: int) -> None:
    of = process(guest, RANDOM)
    guest.variable("mmap_rnd_bits", bits)
    with pytest.raises(Broken, match=f"mmap_rnd_bits is {bits}: "):
        elf_randomize.mmap_layout(of)


@pytest.mark.parametrize("value", ["0x0", "-1", "nonsense", hex(1 << 70)])
def test_odd_options(guest: Guest, value: str) -> None:
    """Whatever the guest's configuration says, there are numbers."""
    flag(guest, 3)
    options = {kaslr.PHYSICAL_ALIGN: value, kaslr.PHYSICAL_PADDING: value}
    places, step = image(guest).virtual_places(options)
    assert places >= 1 and step >= 1
    for region in image(guest).movable_regions(options):
        assert region.places is None or region.places >= 1


# --- The configuration -----------------------------------------------------------

CONFIG = b"# made up\nCONFIG_SMP=y\nCONFIG_NR_CPUS=8\n# CONFIG_X is not set\n"


def put(guest: Guest, data: bytes, size: int | None = None) -> None:
    """A kernel with this as its copy of the configuration."""
    place = guest.string(data)
    guest.layout.symbols[configs.START] = [place, 1]
    end = place + (len(data) if size is None else size)
    guest.layout.symbols[configs.END] = [end, 1]


def test_options(guest: Guest) -> None:
    put(guest, gzip.compress(CONFIG))
    found = configs.options(kernel.memory().read)
    assert found == {"CONFIG_SMP": "y", "CONFIG_NR_CPUS": "8"}


@pytest.mark.parametrize(
    "data",
    [
        b"no gzip at all",
        b"",
        gzip.compress(CONFIG)[:-20],
        gzip.compress(bytes(64 << 20)),  # a bomb: it is not unpacked to its end
    ],
)
def test_a_damaged_configuration(guest: Guest, data: bytes) -> None:
    put(guest, data)
    with pytest.raises(
        Broken, match="the configuration at 0x.* (is damaged|has no end)"
    ):
        configs.options(kernel.memory().read)


def test_no_configuration(guest: Guest) -> None:
    guest.without_symbol(configs.START)
    assert configs.options(kernel.memory().read) is None
    row = report._option(report.OPTIONS[0], None)
    assert row.value == "y" and row.agrees is None  # what the option brings is there


def test_an_option_that_the_kernel_contradicts(guest: Guest) -> None:
    row = report._option(report.OPTIONS[0], {})
    assert row.value == "not set" and row.agrees == "no: the other way round"


def test_the_command_line(guest: Guest) -> None:
    line = b"console=ttyS0 nokaslr \xff" + b"x" * 100
    guest.variable(configs.COMMAND_LINE, guest.string(line))
    found = configs.command_line(kernel.memory().read)
    assert found.startswith("console=ttyS0 nokaslr \\xff") and found.endswith("x")
    assert "nokaslr" in image(guest).why_not_moved()
