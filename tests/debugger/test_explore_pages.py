# SPDX-License-Identifier: GPL-2.0-only
"""lab walk, phys, read, kernel: compared with /proc at one moment, and on made-up entries."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from support import labs
from support.reports import parts
from support.witnessed import Moment

Moments = Callable[..., Moment]
PAGE = 4096
PRESENT, SWAPPED, OF_FILE, EXCLUSIVE = 1 << 63, 1 << 62, 1 << 61, 1 << 56
PFN = (1 << 55) - 1  # the lower bits of a word of pagemap
PAGE_OFFSET = 0xFFFF_8880_0000_0000
WORD = (1 << 64) - 1


def walk(moment: Moment, address: int, pid: int | str = "") -> dict[str, Any]:
    """Run `lab walk`: the outcome, with entries, flags and sentences added."""
    parts = moment.lab(f"walk {address:#x} {pid}".strip())
    tables = [part for part in parts if isinstance(part, dict)]
    outcome = next(table for table in tables if "state" in table["rows"][0])["rows"][0]
    outcome["entries"] = tables[0]["rows"]
    outcome["broken"] = tables[0]["broken"]
    outcome["sentences"] = [part for part in parts if isinstance(part, str)]
    frames = [table for table in tables if table["title"] == "page frame"]
    outcome["page"] = frames[0]["rows"][0] if frames and frames[0]["rows"] else None
    return outcome


def page_list(moment: Moment, pid: int) -> list[list[Any]]:
    """Return the pages in the page tables, as in_gdb/pagewalk.py read them."""
    moment.gdb("source tests/debugger/in_gdb/pagewalk.py")
    return json.loads(moment.gdb(f"python page_list({pid})"))


@pytest.mark.parametrize(
    "scene", ("static", "dynamic-pie", "memory", "huge", "threads")
)
def test_every_page_is_that_of_pagemap(moments: Moments, scene: str) -> None:
    moment = moments()
    pid = moment.pid(scene)
    found = {row[0]: row for row in page_list(moment, pid)}
    known = moment.pagemap(pid)
    for row in moment.table(f"vmas {pid}"):
        if "pf" in row["flags"]:  # pagemap leaves out pages without a struct page
            for address in range(row["start"], row["end"], PAGE):
                known.pop(address, None)
    assert {at for at, word in known.items() if word & (PRESENT | SWAPPED)} == {
        at for at, row in found.items() if at in known
    }
    checked = 0
    for address, word in known.items():
        if not word & PRESENT:
            continue
        _, _, kind, physical, mapcount, used_as = found[address]
        assert kind in ("present", "protnone")
        assert physical // PAGE == word & PFN, hex(address)
        if mapcount is not None and "zero page" not in used_as:
            assert (mapcount == 1) == bool(word & EXCLUSIVE), hex(address)
            is_file = not used_as.startswith("anonymous")
            assert is_file == bool(word & OF_FILE), (hex(address), used_as)
        checked += 1
    assert checked > 20


def test_the_walk_gives_what_the_list_of_pages_gives(moments: Moments) -> None:
    moment = moments()
    for scene in ("memory", "huge"):
        pid = moment.pid(scene)
        seen: dict[tuple, int] = {}
        for address, size, kind, physical, _, used_as in page_list(moment, pid):
            key = (size, kind, used_as)
            seen[key] = seen.get(key, 0) + 1
            if seen[key] > 3:
                continue
            found = walk(moment, address + 0x123, pid)
            assert found["state"] == kind and found["page_size"] == size
            if kind == "present":
                assert found["physical"] == physical + 0x123
            if kind == "present" and found["direct_map"]:
                assert found["direct_map"] == PAGE_OFFSET + physical + 0x123
            if found["page"]:
                assert found["page"]["frame"] == physical // PAGE
                assert found["page"]["used_as"] == used_as
        sizes = {size for size, _, _ in seen}
        assert sizes == ({PAGE, 512 * PAGE} if scene == "huge" else {PAGE})
        kinds = {kind for _, kind, _ in seen}
        assert kinds >= ({"present", "protnone"} if scene == "memory" else {"present"})


def test_rights_are_those_of_the_areas(moments: Moments) -> None:
    moment = moments()
    for scene in ("static", "memory"):
        pid = moment.pid(scene)
        for row in moment.table(f"vmas {pid}")[:-1]:
            found = walk(moment, row["start"], pid)
            if found["state"] != "present":
                continue
            rights, _, mode = found["rights"].partition(" ")
            assert mode == "user"
            assert rights[2] == row["perms"][2]
            # A writable page may be waiting for its first write
            assert rights[1] == "-" or row["perms"][1] == "w"


def test_what_is_not_there_is_told(moments: Moments) -> None:
    moment = moments()
    pid = moment.pid("memory")
    never = kept = forbidden = 0
    for row in moment.table(f"vmas {pid}")[:-1]:
        for address in range(
            row["start"], min(row["end"], row["start"] + 8 * PAGE), PAGE
        ):
            found = walk(moment, address, pid)
            if found["state"] == "none":
                (sentence,) = found["sentences"][1:]
                assert "never touched" in sentence
                assert f"{row['start']:#x}-{row['end']:#x} {row['perms']}" in sentence
                never += 1
                forbidden += "may not be touched" in sentence
                assert ("may not be touched" in sentence) == (row["perms"][:3] == "---")
            if found["state"] == "protnone":
                assert (
                    "PROT_NONE" in found["sentences"][1]
                    and found["page"]["mapcount"] >= 1
                )
                kept += 1
    assert never > 10 and kept >= 1 and forbidden >= 1
    sentence = walk(moment, 0x10, pid)["sentences"][1]
    assert "it lies in no area" in sentence and "SIGSEGV" in sentence
    assert (
        "Nothing is mapped here" in walk(moment, 0xFFFF_8000_0000_0000)["sentences"][1]
    )


def test_indices_are_the_bits_of_the_address(moments: Moments) -> None:
    moment = moments()
    pid = moment.pid("static")
    for row in moment.table(f"vmas {pid}")[:-1]:
        entries = walk(moment, row["start"], pid)["entries"]
        levels = [("pgd", 39), ("pud", 30), ("pmd", 21), ("pte", 12)]
        for entry, (name, shift) in zip(entries, levels):
            assert entry["level"] == name
            assert entry["index"] == row["start"] >> shift & 511
            assert entry["entry"] == entry["table"] + 8 * entry["index"]
            place = PAGE_OFFSET + entry["entry"]
            assert word_at(moment, place) == entry["value"]
        for entry, after in zip(entries, entries[1:]):
            assert entry["target"] == after["table"]


def word_at(moment: Moment, address: int) -> int:
    """Read a word of kernel memory by gdb itself."""
    return int(moment.gdb(f"output/x *(unsigned long *){address:#x}"), 16)


@contextmanager
def changed(moment: Moment, address: int, value: int) -> Iterator[None]:
    """Change a word of kernel memory for the time of a with block."""
    before = word_at(moment, address)
    moment.gdb(f"set var *(unsigned long *){address:#x} = {value:#x}")
    try:
        yield
    finally:
        moment.gdb(f"set var *(unsigned long *){address:#x} = {before:#x}")


def a_page(moment: Moment, pid: int) -> tuple[int, dict[int, int]]:
    """Return a page of the heap, and where its entries are, by level from 1."""
    (heap,) = [row for row in moment.table(f"vmas {pid}") if row["name"] == "[heap]"]
    found = walk(moment, heap["start"], pid)
    assert found["state"] == "present"
    entries = {4 - i: entry for i, entry in enumerate(found["entries"])}
    return heap["start"], {
        level: PAGE_OFFSET + entry["entry"] for level, entry in entries.items()
    }


def swp_pte(kind: int, offset: int) -> int:
    """Make the entry of a page that is not present: __swp_entry() of x86-64."""
    return kind << 59 | (~offset & (1 << 50) - 1) << 9


def special_types(moment: Moment) -> dict[str, int]:
    """Return the types above the swap areas, from this kernel's options."""
    config = Path(labs.kernel_dir() / "obj" / ".config").read_text()
    names = ["hwpoison"] if "CONFIG_MEMORY_FAILURE=y" in config else []
    exclusive = "PG_anon_exclusive" in moment.gdb("ptype enum pageflags")
    if "CONFIG_MIGRATION=y" in config:
        names += ["readable"] + ["exclusive"] * exclusive + ["writable"]
    there, _ = moment.try_gdb("whatis pcpu_hot")  # an error before 6.2
    if "struct pcpu_hot" in there:  # one for both
        names += ["marker"]
    elif exclusive:
        names += ["marker"] if "CONFIG_PTE_MARKER=y" in config else []
        names += ["error"]
    return {name: 32 - len(names) + i for i, name in enumerate(names)}


def test_entries_of_pages_that_are_elsewhere(moments: Moments) -> None:
    moment = moments()
    pid = moment.pid("static")
    address, places = a_page(moment, pid)
    types = special_types(moment)
    assert {"readable", "writable"} <= set(types)
    cases = [(swp_pte(2, 0x12345), "swap", "slot 74565 of swap area 2")]
    cases += [(swp_pte(0, 1), "swap", "slot 1 of swap area 0")]
    cases += [
        (swp_pte(types["readable"], 0x1CF8), "migration", "frame 0x1cf8"),
        (swp_pte(types["writable"], 0x77), "migration", "writable page that is being"),
    ]
    if "exclusive" in types:
        cases += [(swp_pte(types["exclusive"], 0x1), "migration", "exclusive")]
    if "error" in types:
        cases += [(swp_pte(types["error"], 0), "marker", "could not be read from swap")]
    cases += [(~0x1CF8000 & 0xF_FFFF_FFFF_F000 | 0x120, "protnone", "0x1cf8000")]
    for value, state, sentence in cases:
        with changed(moment, places[1], value):
            found = walk(moment, address, pid)
            assert found["state"] == state, hex(value)
            assert sentence in found["sentences"][1], found["sentences"]
            assert found["physical"] is None and found["rights"] is None
    assert walk(moment, address, pid)["state"] == "present"


def test_entries_of_large_pages(moments: Moments) -> None:
    moment = moments()
    pid = moment.pid("static")
    address, places = a_page(moment, pid)
    inside = address & (1 << 21) - 1
    with changed(moment, places[2], 0x8000_0000_0040_00E7):
        found = walk(moment, address, pid)
        assert (found["state"], found["page_size"]) == ("present", 1 << 21)
        assert found["physical"] == 0x400000 + inside
        assert found["rights"] == "rw- user" and "PSE" in found["entries"][-1]["flags"]
    inside = address & (1 << 30) - 1
    with changed(moment, places[3], 0x4000_00A5):
        found = walk(moment, address, pid)
        assert (found["state"], found["page_size"]) == ("present", 1 << 30)
        assert found["physical"] == 0x4000_0000 + inside
        assert found["rights"] == "r-x user" and found["direct_map"] is None
    # __pmd_mkinvalid(): not present, but still a page
    with changed(moment, places[2], 0x4000E6):
        assert walk(moment, address, pid)["state"] == "splitting"
    with changed(moment, places[2], ~0x400000 & 0xF_FFFF_FFE0_0000 | 0x1A0):
        found = walk(moment, address, pid)
        assert found["state"] == "protnone" and "0x400000" in found["sentences"][1]
    with changed(moment, places[3], 0x666000):
        found = walk(moment, address, pid)
        assert found["state"] == "invalid" and "0x666000" in found["sentences"][1]


def test_flags_are_the_bits_of_an_entry(moments: Moments) -> None:
    moment = moments()
    pid = moment.pid("static")
    address, places = a_page(moment, pid)
    bits = {
        "P": 0,
        "RW": 1,
        "US": 2,
        "PWT": 3,
        "PCD": 4,
        "A": 5,
        "D": 6,
        "PAT": 7,
        "G": 8,
        "SPECIAL": 9,
        "UFFD_WP": 10,
        "SOFT_DIRTY": 11,
        "DEVMAP": 58,
        "NX": 63,
    }
    for name, bit in bits.items():
        with changed(moment, places[1], 0x1CF8000 | 1 | 1 << bit):
            flags = walk(moment, address, pid)["entries"][-1]["flags"]
            assert flags == (["P"] if name == "P" else ["P", name])
    everything = 0x1CF8000 | sum(1 << bit for bit in bits.values())
    with changed(moment, places[1], everything):
        assert walk(moment, address, pid)["entries"][-1]["flags"] == list(bits)
    with changed(moment, places[1], 0x1CF8001 | 9 << 59):
        assert walk(moment, address, pid)["entries"][-1]["flags"] == ["P", "PKEY9"]
    with changed(moment, places[2], 0x400000 | 1 << 12 | 0x81):
        assert walk(moment, address, pid)["entries"][-1]["flags"] == ["P", "PSE", "PAT"]


def test_a_table_that_lies_nowhere(moments: Moments) -> None:
    moment = moments()
    pid = moment.pid("static")
    address, places = a_page(moment, pid)
    with changed(moment, places[2], 0xF_0000_0000_0067):
        found = walk(moment, address, pid)
        assert found["state"] == "broken" and "no RAM" in found["broken"]
        assert [entry["level"] for entry in found["entries"]] == ["pgd", "pud", "pmd"]
        pages = moment.lab(f"vma {address:#x} {pid}")[-1]
        assert "lies nowhere" in pages["broken"]
        (drawing,) = moment.lab(f"read {address:#x} 8 {pid}")
        assert "no RAM" in drawing["data"][0]["remark"]
    with changed(moment, places[1], 0xF_0000_0000_0067):
        (drawing,) = moment.lab(f"read {address:#x} 8 {pid}")
        assert "it is mapped, but" in drawing["data"][0]["remark"]


def test_the_top_table_of_page_table_isolation(moments: Moments) -> None:
    """With PTI the kernel's own top entries for user memory have NX set."""
    moment = moments()
    pid = moment.pid("static")
    start = moment.table(f"vmas {pid}")[1]["start"]  # code
    found = walk(moment, start, pid)
    assert found["rights"] == "r-x user"
    top = PAGE_OFFSET + found["entries"][0]["entry"]
    with changed(moment, top, found["entries"][0]["value"] | 1 << 63):
        # Without PTI, NX in the top entry counts
        assert walk(moment, start, pid)["rights"] == "r-- user"
        place = moment.gdb("output/x &boot_cpu_data.x86_capability[7]").split()[-1]
        word = int(moment.gdb("output/x boot_cpu_data.x86_capability[7]"), 16)
        feature = f"set var boot_cpu_data.x86_capability[7] = {word | 1 << 11:#x}"
        assert place
        moment.gdb(feature)
        try:
            poisoned = walk(moment, start, pid)
            assert poisoned["rights"] == "r-x user"
            parts = moment.lab(f"walk {start:#x} {pid}")
            (copy,) = [
                part
                for part in parts
                if isinstance(part, dict) and "isolation" in part["title"]
            ]
            table = found["entries"][0]["table"] | PAGE
            assert copy["rows"][0]["table"] == table
            assert copy["rows"][0]["value"] == word_at(
                moment, PAGE_OFFSET + table + 8 * found["entries"][0]["index"]
            )
        finally:
            moment.gdb(f"set var boot_cpu_data.x86_capability[7] = {word:#x}")


def test_phys_without_an_address_is_iomem(moments: Moments) -> None:
    moment = moments()
    known = []
    for line in moment.snapshot["/proc/iomem"].decode().splitlines():
        indent, start, end, name = re.fullmatch(
            r"( *)(\w+)-(\w+) : (.*)", line
        ).groups()
        known.append((int(start, 16), int(end, 16), indent + name))
    found = [(row["start"], row["end"], row["name"]) for row in moment.table("phys")]
    assert found == known


def test_phys_there_and_back(moments: Moments) -> None:
    moment = moments()
    task = int(moment.gdb("output/x (unsigned long)$lab_task(1)"), 16)
    physical = task - PAGE_OFFSET
    for address in (f"{task:#x}", f"{physical:#x}", "$lab_task(1)"):
        rows = moment.table(f"phys {address}")
        assert rows[-2]["address"] == physical and rows[-1]["address"] == task
        assert "direct map" in rows[-1]["what"]
    (page,) = moment.table("phys $lab_task(1)", 2)
    assert page["frame"] == physical // PAGE and "slab" in page["used_as"]
    text = int(moment.gdb("output/x (unsigned long)&_text"), 16)
    rows = moment.table("phys _text")
    assert [row["address"] for row in rows][1:] == [
        0x1000000,
        PAGE_OFFSET + 0x1000000,
        text,
    ]
    assert rows[-1]["what"] == "kernel image, text"
    names = [row["name"].strip() for row in moment.table("phys _text", 1)]
    assert names == ["System RAM", "Kernel code"]
    assert "the kernel image" in " ".join(map(str, moment.lab("phys _text")))


def test_phys_of_devices_holes_and_struct_page(moments: Moments) -> None:
    moment = moments()
    sentence = moment.lab("phys 0xfee00000")
    assert "No RAM stands at 0xfee00000. It is Local APIC." in sentence
    assert "It is a hole" in moment.lab("phys 0x70000000")[-1]
    assert "no physical address" in moment.refused("lab phys 0x7ffffffff000")
    assert "is not mapped" in moment.refused("lab phys 0xffff800000000000")
    assert "not canonical" in moment.refused("lab phys 0x8000000000000000")
    for frame in (0, 64, 0x1234):
        page = f"(struct page *)vmemmap_base + {frame}"
        parts = moment.lab(f"phys '{page}'")
        sentence = next(part for part in parts if isinstance(part, str))
        first, last = re.search(r"frames 0x(\w+) to 0x(\w+)", sentence).groups()
        assert int(first, 16) <= frame <= int(last, 16)


def test_read_gives_the_bytes_of_any_process(moments: Moments) -> None:
    moment = moments()
    for scene in ("static", "dynamic-pie", "threads"):
        pid = moment.pid(scene)
        command = moment.snapshot[f"/proc/{pid}/cmdline"]
        stat = moment.stat(pid)
        (drawing,) = moment.lab(f"read {stat[48]} {len(command)} {pid}")
        assert "".join(line["bytes"] for line in drawing["data"]) == command.hex()
        environ = moment.snapshot[f"/proc/{pid}/environ"]
        (drawing,) = moment.lab(f"read {stat[50]} {len(environ)} {pid}")
        assert "".join(line["bytes"] for line in drawing["data"]) == environ.hex()


def test_read_as_text(moments: Moments) -> None:
    moment = moments()
    lines = moment.gdb("lab read linux_banner 40").splitlines()
    assert lines[0] == "40 bytes in the kernel's memory"
    assert "|Linux version " in lines[1] and len(lines) == 4
    banner = bytes(int(word, 16) for line in lines[1:] for word in line[20:68].split())
    known = moment.gdb('printf "%.40s", linux_banner')
    assert banner.decode() == known
    pid = moment.pid("memory")
    rows = moment.table(f"vmas {pid}")
    # A page of zeroes is two lines and an asterisk
    zero = next(
        row["start"]
        for row in rows
        if "zero page"
        in {
            row["kind"]
            for row in moment.lab(f"vma {row['start']:#x} {pid}")[-1]["rows"]
        }
    )
    lines = moment.gdb(f"lab read {zero:#x} 4096 {pid}").splitlines()
    assert len(lines) == 4 and lines[2] == "*" and "00 00" in lines[3]


def test_read_tells_page_by_page_what_is_not_there(moments: Moments) -> None:
    moment = moments()
    pid = moment.pid("memory")
    for row in moment.table(f"vmas {pid}")[:-1]:
        size = min(row["size"], 8 * PAGE)
        (drawing,) = moment.lab(f"read {row['start']:#x} {size} {pid}")
        for piece in drawing["data"]:
            state = walk(moment, piece["address"], pid)["state"]
            if row["backing"] == "device":
                assert "no RAM" in piece["remark"]
            elif state == "present":
                assert len(piece["bytes"]) == 2 * piece["size"] and not piece["remark"]
            elif state == "protnone":
                assert piece["bytes"] and "PROT_NONE" in piece["remark"]
            else:
                assert piece["bytes"] is None and "never touched" in piece["remark"]
    assert "give 1 to 1048576 bytes" in moment.refused("lab read linux_banner 0")
    assert "Usage" in moment.refused("lab read linux_banner")
    assert "end of its half" in moment.refused("lab read 0xfffffffffffffff8 16")
    assert "not canonical" in moment.refused("lab read 0x7ffffffffff8 16 1")
    assert "kernel thread" in moment.refused("lab read 0x400000 16 2")


def symbols(moment: Moment) -> dict[str, int]:
    """Read /proc/kallsyms; of several symbols with one name, the first."""
    found: dict[str, int] = {}
    for line in moment.snapshot["/proc/kallsyms"].decode().splitlines():
        address, _, name = line.split()[:3]
        found.setdefault(name, int(address, 16))
    return found


def test_the_kernel_half(moments: Moments) -> None:
    moment = moments()
    known = symbols(moment)
    regions = {row["name"]: row for row in moment.table("kernel")}
    starts = [row["start"] for row in moment.table("kernel")]
    ends = [row["end"] for row in moment.table("kernel")]
    assert all(end <= start for end, start in zip(ends, starts[1:]))
    for name, symbol in (
        ("direct map", "page_offset_base"),
        ("vmalloc", "vmalloc_base"),
        ("vmemmap", "vmemmap_base"),
    ):
        assert regions[name]["start"] == word_at(moment, known[symbol])
    iomem = moment.table("phys")
    ram = [row for row in iomem if row["name"] == "System RAM"]
    end = ram[-1]["end"] + 1
    assert regions["direct map"]["mapped"] == end
    high = word_at(moment, known["high_memory"])
    assert high == PAGE_OFFSET + end
    sentence = f"RAM ends at {end:#x}, in the direct map at high_memory, {high:#x}."
    assert sentence in moment.lab("kernel")[0]
    assert (
        "its last page at FIXADDR_TOP, 0xffffffffff7ff000." in moment.lab("kernel")[0]
    )
    vsyscall, rest = regions["vsyscall"], regions["fixmap's rest"]
    assert regions["fixmap"]["end"] == vsyscall["start"] == 0xFFFF_FFFF_FF60_0000
    assert rest["end"] == 0xFFFF_FFFF_FF80_0000 and not rest["mapped"]
    assert regions["vmemmap"]["mapped"] >= end // PAGE * 64
    assert regions["guard hole"]["mapped"] == 0
    image = regions["kernel image"]
    assert image["start"] <= known["_text"] < known["_end"] <= image["end"]
    # Where the kernel itself puts these regions
    vmalloc = regions["vmalloc"]
    stack = int(moment.gdb("output/x (unsigned long)$lab_task(1)->stack"), 16)
    assert vmalloc["start"] <= stack < vmalloc["end"]
    area = int(moment.gdb("output/x (unsigned long)&idt_descr.address"), 16)
    idt = word_at(moment, area)
    entry = regions["cpu entry area"]
    assert entry["start"] <= idt < entry["end"]


def test_the_kernel_image(moments: Moments) -> None:
    moment = moments()
    known = symbols(moment)
    names = {
        "text": ("_text", "_etext"),
        "rodata": ("__start_rodata", "__end_rodata"),
        "data": ("_sdata", "_edata"),
        "init": ("__init_begin", "__init_end"),
        "bss": ("__bss_start", "__bss_stop"),
    }
    rows = {row["name"]: row for row in moment.table("kernel", 1)}
    for name, (start, end) in names.items():
        assert (rows[name]["start"], rows[name]["end"]) == (known[start], known[end])
    rights = {name: row["rights"] for name, row in rows.items()}
    assert rights["text"] == "r-x kernel" and rights["rodata"] == "r-- kernel"
    assert rights["data"] == "rw- kernel" and rights["bss"] == "rw- kernel"
    iomem = {row["name"].strip(): row for row in moment.table("phys")}
    for section, name in (("text", "Kernel code"), ("bss", "Kernel bss")):
        assert rows[section]["physical"] == iomem[name]["start"]
    fixed = {row["name"]: row for row in moment.table("kernel", 2)}
    assert fixed["FIX_APIC_BASE"]["physical"] == 0xFEE0_0000


FIVE = """python
from lab.linux import pageframe, pagewalk, pgtable, regions, task
from lab.linux.mm import pgd_of
from lab.target import kernel
guest = kernel.memory()
top = next(
    frame for frame in range(regions.max_pfn() - 1, 0, -1)
    if pageframe.page_of(frame << 12).kind.startswith("free")
) << 12
mm = task.task(task.find_task_by_pid({pid})).mm
place = guest.page_offset + top + 8 * {index}
before = guest.read(place, 8)
gdb.selected_inferior().write_memory(place, (pgd_of(mm) | 0x67).to_bytes(8, "little"))
guest.levels = 5
try:
    for entry in pgtable.walk(top, {address}).entries:
        print(entry.name, entry.index, hex(entry.table))
    print(hex(pgtable.walk(top, {address}).physical))
    found = list(pagewalk.walk_page_range(top, {address}, {address} + 4096))
    print([hex(entry[0]) for entry in found])
finally:
    guest.levels = 4
    gdb.selected_inferior().write_memory(place, before)
end"""


def test_five_levels_of_tables(moments: Moments) -> None:
    """A fifth level: a table above the process's own, in a free page."""
    moment = moments()
    pid = moment.pid("static")
    start = moment.table(f"vmas {pid}")[0]["start"]
    known = walk(moment, start, pid)
    for index, address in ((0, start), (5, 5 << 48 | start)):
        output = moment.gdb(FIVE.format(pid=pid, index=index, address=address))
        lines = output.splitlines()
        assert [line.split()[0] for line in lines[:5]] == [
            "pgd",
            "p4d",
            "pud",
            "pmd",
            "pte",
        ]
        assert lines[0].split()[1] == str(index)
        assert lines[1].split()[2] == hex(known["entries"][0]["table"])
        assert lines[5] == hex(known["physical"])
        assert lines[6] == f"['{address:#x}']"


@pytest.mark.once
def test_five_levels(bzimage: Path, vmlinux: Path, port: int, tmp_path: Path) -> None:
    """A processor with LA57, started by hand: only a bzImage turns it on."""
    commands = (
        f"target remote {labs.gdb_socket(port)}",
        "source gdb/seginfo.py",
        "seginfo brief",
        "continue",
        "lab walk 0x401000",
        "lab walk $rsp",
        "lab walk 0x100000000000000",
        "lab walk 0x800000000000",
        "lab map",
        "lab kernel",
        "lab kernel --json",
        "kill",
    )
    options = ("-cpu", "max", "-machine", "pc")
    words = "nokaslr lab.run=demo lab.then=reboot"
    with labs.qemu(port, bzimage, words, *options):
        done = labs.gdb(*commands, program=vmlinux)
    output = done.stdout + done.stderr
    assert "5 levels" in output
    first = output[output.index("0x401000 in the memory of") :]
    names = re.findall(r"^(pgd|p4d|pud|pmd|pte) ", first, re.M)
    assert names[:5] == ["pgd", "p4d", "pud", "pmd", "pte"]
    assert "0x100000000000000 is not canonical: with 5-level paging bits 56" in output
    assert "0x800000000000 in the memory of" in output  # canonical with 57 bits
    found = re.search(r"^\{\n.*?^\}$", output, re.M | re.S)
    assert found is not None, output
    rows = parts(found.group(0))[1]["rows"]
    starts = {row["name"]: row["start"] for row in rows}
    assert starts["direct map"] == 0xFF11_0000_0000_0000
    assert starts["vmalloc"] == 0xFFA0_0000_0000_0000
    assert starts["vmemmap"] == 0xFFD4_0000_0000_0000
    assert starts["guard hole"] == 0xFF00_0000_0000_0000


def test_the_stub_gives_the_same(moments: Moments) -> None:
    """Without a RAM file every command prints the same as with one."""
    moment = moments()
    pid = moment.pid("memory")
    row = moment.table(f"vmas {pid}")[3]
    commands = [f"{name} {pid}" for name in ("mm", "vmas", "list", "rb", "maple")]
    commands += [f"map {pid}", "kernel", "phys", "phys _text", "phys $lab_task(1)"]
    commands += [f"vma {row['start']:#x} {pid}", f"walk {row['start']:#x} {pid}"]
    commands += [f"read {row['start']:#x} 9000 {pid}", "walk vmalloc_base"]
    fast = [moment.lab(command) for command in commands]
    moment.gdb("python from lab.target import fits, kernel, memory")
    moment.gdb("python kernel.memory().physical = memory.Stub(); kernel.refresh()")
    try:
        assert moment.gdb("python print(kernel.source())") == "debug stub\n"
        for command, known in zip(commands, fast):
            assert moment.lab(command) == known, command
    finally:
        moment.gdb("python kernel.forget(); fits.check_running()")
    assert "RAM file" in moment.gdb("python print(kernel.source())")
