# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's half of the address space, and /proc/iomem."""

from __future__ import annotations

import pytest

from lab.linux import regions, resource, segments
from lab.target import kernel, structs
from lab.target.memory import Broken
from made_up import Guest

# Documentation/x86/x86_64/mm.rst: first and last address
FOUR_LEVELS = {
    "guard hole": (0xFFFF_8000_0000_0000, 0xFFFF_87FF_FFFF_FFFF),
    "LDT remap": (0xFFFF_8800_0000_0000, 0xFFFF_887F_FFFF_FFFF),
    "direct map": (0xFFFF_8880_0000_0000, 0xFFFF_C87F_FFFF_FFFF),
    "vmalloc": (0xFFFF_C900_0000_0000, 0xFFFF_E8FF_FFFF_FFFF),
    "vmemmap": (0xFFFF_EA00_0000_0000, 0xFFFF_EAFF_FFFF_FFFF),
    "KASAN shadow": (0xFFFF_EC00_0000_0000, 0xFFFF_FBFF_FFFF_FFFF),
}
FIVE_LEVELS = {
    "guard hole": (0xFF00_0000_0000_0000, 0xFF0F_FFFF_FFFF_FFFF),
    "LDT remap": (0xFF10_0000_0000_0000, 0xFF10_FFFF_FFFF_FFFF),
    "direct map": (0xFF11_0000_0000_0000, 0xFF90_FFFF_FFFF_FFFF),
    "vmalloc": (0xFFA0_0000_0000_0000, 0xFFD1_FFFF_FFFF_FFFF),
    "vmemmap": (0xFFD4_0000_0000_0000, 0xFFD5_FFFF_FFFF_FFFF),
    "KASAN shadow": (0xFFDF_0000_0000_0000, 0xFFFF_FBFF_FFFF_FFFF),
}
BOTH = {
    "cpu entry area": (0xFFFF_FE00_0000_0000, 0xFFFF_FE7F_FFFF_FFFF),
    "espfix": (0xFFFF_FF00_0000_0000, 0xFFFF_FF7F_FFFF_FFFF),
    "EFI": (0xFFFF_FFEF_0000_0000, 0xFFFF_FFFE_FFFF_FFFF),
    "kernel image": (0xFFFF_FFFF_8000_0000, 0xFFFF_FFFF_BFFF_FFFF),
    "modules": (0xFFFF_FFFF_C000_0000, 0xFFFF_FFFF_FEFF_FFFF),
    "vsyscall": (0xFFFF_FFFF_FF60_0000, 0xFFFF_FFFF_FF60_0FFF),
}


def found() -> dict[str, tuple[int, int]]:
    """Return the first and last address of the regions, by name."""
    return {region.name: (region.start, region.end - 1) for region in regions.regions()}


def unmoved(guest: Guest) -> None:
    """Make a kernel with all optional regions, none of which is moved."""
    guest.without_symbol("vmemmap_base")
    guest.symbol("init_espfix_ap")
    guest.symbol("kasan_init")


def test_regions_with_four_levels(guest: Guest) -> None:
    unmoved(guest)
    assert not regions.is_moved()
    assert {name: found()[name] for name in FOUR_LEVELS | BOTH} == FOUR_LEVELS | BOTH


def test_regions_with_five_levels(five: Guest) -> None:
    unmoved(five)
    assert {name: found()[name] for name in FIVE_LEVELS | BOTH} == FIVE_LEVELS | BOTH


def test_regions_that_not_every_kernel_has(guest: Guest) -> None:
    assert not {"espfix", "KASAN shadow"} & set(found())


def test_regions_do_not_overlap_and_are_found(guest: Guest) -> None:
    unmoved(guest)
    ends = [(region.start, region.end) for region in regions.regions()]
    assert all(start < end for start, end in ends)
    assert all(end <= start for (_, end), (start, _) in zip(ends, ends[1:]))
    for region in regions.regions():
        for address in (region.start, region.end - 1):
            assert regions.region_of(address) == region
    assert regions.region_of(0xFFFF_C880_0000_0000) is None


def test_a_kernel_image_that_cannot_be_moved(guest: Guest) -> None:
    guest.without_symbol("module_load_offset")
    assert found()["kernel image"][1] == 0xFFFF_FFFF_9FFF_FFFF
    assert found()["modules"][0] == 0xFFFF_FFFF_A000_0000


def test_the_fixmap(guest: Guest) -> None:
    """It extends to FIXADDR_TOP, with or without vsyscall."""
    numbers = guest.layout._types["enum fixed_addresses"]["enumerators"]
    numbers["__end_of_permanent_fixed_addresses"] = 643
    structs.forget()
    start = 0xFFFF_FFFF_FF7F_F000 - (643 << 12)
    assert found()["fixmap"] == (start, 0xFFFF_FFFF_FF5F_FFFF)
    assert found()["fixmap's rest"] == (0xFFFF_FFFF_FF60_1000, 0xFFFF_FFFF_FF7F_FFFF)
    del numbers["VSYSCALL_PAGE"]
    structs.forget()
    assert found()["fixmap"] == (start, 0xFFFF_FFFF_FF7F_FFFF)
    assert not {"vsyscall", "fixmap's rest"} & set(found())


def test_regions_that_randomisation_moved(guest: Guest) -> None:
    """They are as large as the RAM needs, in TiB."""
    kernel.memory().page_offset = 0xFFFF_9000_0000_0000
    guest.variable("vmemmap_base", 0xFFFF_F000_0000_0000)
    vmalloc = guest.symbol("vmalloc_base")
    guest.write(vmalloc, (0xFFFF_B000_0000_0000).to_bytes(8, "little"))
    guest.variable("max_pfn", (1 << 40 - 12) + 1)
    assert regions.is_moved()
    moved = regions._movable_regions()
    tib = 1 << 40
    assert [(region.start, region.size) for region in moved] == [
        (0xFFFF_9000_0000_0000, 2 * tib),
        (0xFFFF_B000_0000_0000, 32 * tib),
        (0xFFFF_F000_0000_0000, tib),
    ]


def test_sections_of_the_image(guest: Guest) -> None:
    text = guest.layout.address_of("_text")
    guest.layout.symbols["_etext"] = [text + 0x1000, 0]
    guest.layout.symbols["__bss_start"] = [text + 0x3000, 0]  # and no __bss_stop
    structs.forget()
    (section,) = regions.sections()
    assert section == (text, text + 0x1000, "text", text - 0xFFFF_FFFF_8000_0000)
    assert regions.image() == (text, guest.layout.address_of("_end"))


def test_what_the_kernel_says_of_ram_and_processor(guest: Guest) -> None:
    guest.variable("high_memory", 0x1234)
    inside = structs.offsetof("struct cpuinfo_x86", "x86_phys_bits")
    guest.write(structs.address_of("boot_cpu_data") + inside, b"\x2e\x30")
    assert (regions.high_memory(), regions.physical_bits()) == (0x1234, 46)


def test_the_kernel_s_half_without_holes(guest: Guest) -> None:
    """Regions and gaps follow one another up to the last byte."""
    unmoved(guest)
    half = segments.kernel_half()
    assert half[0].start == 0xFFFF_8000_0000_0000 and half[-1].end == 1 << 64
    assert all(
        region.end == following.start for region, following in zip(half, half[1:])
    )
    assert {part.name for part in half if part.is_gap} == {""}
    names = {part.name for part in half}
    assert "vmalloc" in names and "kernel image" not in names


def test_the_kernel_s_half_with_five_levels(five: Guest) -> None:
    unmoved(five)
    assert segments.kernel_half()[0].start == 0xFF00_0000_0000_0000


# --- /proc/iomem ---------------------------------------------------------------------------


def resources(guest: Guest) -> dict[str, int]:
    """Make a tree: a bus with two devices, then RAM."""
    made: dict[str, int] = {}
    for name, start, end in (
        *(("bus", 0xC000, 0xCFFF), ("first", 0xC000, 0xC0FF)),
        *(("second", 0xC200, 0xC2FF), ("RAM", 0x10_0000, 0x1F_FFFF)),
    ):
        members = {"start": start, "end": end, "name": guest.string(name.encode())}
        made[name] = guest.put("struct resource", members)
    root = structs.address_of("iomem_resource")
    guest.set("struct resource", root, "child", made["bus"])
    links = {"child": made["first"], "sibling": made["RAM"]}
    guest.put("struct resource", links, made["bus"])
    guest.put("struct resource", {"sibling": made["second"]}, made["first"])
    return made


def test_all_resources(guest: Guest) -> None:
    made = resources(guest)
    assert [
        (found.name, found.depth, found.address)
        for found in resource.for_each_resource()
    ] == [
        ("bus", 0, made["bus"]),
        ("first", 1, made["first"]),
        ("second", 1, made["second"]),
        ("RAM", 0, made["RAM"]),
    ]


@pytest.mark.parametrize(
    ("address", "names"),
    [
        (0xBFFF, []),
        (0xC000, ["bus", "first"]),
        (0xC0FF, ["bus", "first"]),
        (0xC100, ["bus"]),
        (0xCFFF, ["bus"]),
        (0xD000, []),
        (0x1F_FFFF, ["RAM"]),
    ],
)
def test_what_is_at_an_address(guest: Guest, address: int, names: list[str]) -> None:
    resources(guest)
    assert [found.name for found in resource.resources_at(address)] == names


def test_a_resource_without_a_name(guest: Guest) -> None:
    made = resources(guest)
    guest.set("struct resource", made["bus"], "name", 0)
    assert next(resource.for_each_resource()).name == "<BAD>"


def test_resources_that_are_damaged(guest: Guest) -> None:
    made = resources(guest)
    guest.set("struct resource", made["second"], "child", made["bus"])
    with pytest.raises(Broken, match="are a cycle"):
        list(resource.for_each_resource())
    guest.set("struct resource", made["second"], "child", 0xDEAD_0000_0000)
    with pytest.raises(Broken, match="are cut"):
        list(resource.for_each_resource())
