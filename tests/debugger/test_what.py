# SPDX-License-Identifier: GPL-2.0-only
"""lab what: each kind of address, compared with /proc, with other views and with drgn."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any, Callable

import pytest

from support import damage, other_readers
from support.reports import parts
from support.witnessed import Moment

Moments = Callable[..., Moment]
PAGE = 4096
WORD = 1 << 64
AT_ONCE = 100


@pytest.fixture(name="moment")
def _moment(moments: Moments) -> Moment:
    return moments()


def what(moment: Moment, *commands: str) -> list[list[dict[str, Any]]]:
    """The facts of each `lab what WORDS`, whose sentence must tell the first of them."""
    found = []
    for first in range(0, len(commands), AT_ONCE):
        some = commands[first : first + AT_ONCE]
        for words, (output, error) in zip(
            some, moment.try_all([f"lab what {words} --json" for words in some])
        ):
            assert not error, f"{words}: {error}"
            sentence, table = parts(output)
            assert table["rows"] and not table["broken"], words
            assert table["rows"][0]["what"] in sentence, words
            found.append(table["rows"])
    return found


def fact(facts: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    """The only fact of a kind."""
    (found,) = [one for one in facts if one["is_"] == kind]
    return found


def shares(moment: Moment, cache: str) -> bool:
    """Does the cache behind a pointer serve others, too?"""
    return int(moment.gdb(f"output {cache}->refcount")) > 1


def test_tasks_and_their_stacks(moment: Moment) -> None:
    """A task is an object of task_struct; its stack is its own, from end to end."""
    rows = [row for row in moment.table("threads") if row["pid"]]
    addresses = [f"{row['task']:#x}" for row in rows]
    for row, facts in zip(rows, what(moment, *addresses)):
        assert facts[0]["is_"] == "object"
        assert facts[0]["start"] == row["task"]
        state = f"of a slab of task_struct, in use: {row['comm'].strip('[]')}, pid {row['pid']}"
        assert facts[0]["what"].endswith(state)
    pids = [row["pid"] for row in rows if row["state"] != "Z"][::4]
    tops = [f"$lab_task({pid})->stack+16383" for pid in pids]
    middles = [f"$lab_task({pid})->stack+100" for pid in pids]
    for pid, top, low in zip(pids, what(moment, *tops), what(moment, *middles)):
        for facts in top, low:
            assert facts[0]["is_"] == "kernel stack"
            assert facts[0]["what"].endswith(f", pid {pid}")
        assert top[0]["part"].startswith("1 byte below its top")
        assert low[0]["part"] == "16,284 bytes below its top, not in use now"


def test_a_stack_in_the_direct_map(moment: Moment) -> None:
    """Through another mapping it is the same stack, at the same depth."""
    pid = moment.pid("static")
    address = int(moment.gdb(f"output/x $lab_task({pid})->stack"), 16) + 16000
    alias = next(
        row["value"]
        for row in moment.table(f"translate {address:#x}")
        if row["what"] == "direct map"
    )
    one, other = what(moment, f"{address:#x}", f"{alias:#x}")
    assert one[0] == other[0]
    assert fact(other, "mapped")["start"] == address


def test_frames_of_a_stack(moment: Moment) -> None:
    """Each frame's own words are in that frame, as lab kstack has them."""
    pid = moment.pid("static")
    frames = [row for row in moment.table(f"kstack {pid}") if row["kind"] != "user"]
    places = [f"{row['place']:#x}" for row in frames]
    before = ""
    for row, facts in zip(frames, what(moment, *places)):
        if before:
            assert facts[0]["part"].endswith(f"in the frame of {before}")
        before = row["symbol"]
    assert len(frames) > 4


def test_areas_and_address_spaces(moment: Moment) -> None:
    """Areas, address spaces, open files and names are objects whose owner is told."""
    for scene in ("static", "threads", "memory"):
        pid = moment.pid(scene)
        rows = [row for row in moment.table(f"vmas {pid}") if row["start"] < 1 << 63]
        found = what(moment, *(f"{row['vma']:#x}" for row in rows))
        for row, facts in zip(rows, found):
            object_ = fact(facts, "object")
            assert object_["start"] == row["vma"]
            if shares(moment, "vm_area_cachep"):
                assert "caches share it" in object_["what"]
                assert object_["part"] == "+0x0"
            else:
                span = f"in use: {row['start']:#x}-{row['end']:#x} of mm_struct"
                assert span in object_["what"], object_
                assert object_["part"] == "struct vm_area_struct.vm_start"
        (facts,) = what(moment, f"&$lab_task({pid})->mm->pgd")
        assert f"{pid}, " in facts[0]["what"] and "of mm_struct" in facts[0]["what"]
        assert facts[0]["part"] == "struct mm_struct.pgd"


def test_members(moment: Moment) -> None:
    """The member at an address is the innermost, with its index."""
    pid = moment.pid("static")
    task = f"$lab_task({pid})"
    members = ("tasks.prev", "comm[3]", "pid", "thread.sp", "children.next")
    found = what(moment, *(f"'&({task}->{member})'" for member in members))
    for member, facts in zip(members, found):
        assert facts[0]["part"] == f"struct task_struct.{member}"
    (facts,) = what(moment, f"&{task}->signal->rlim[3].rlim_max")
    whole = "struct signal_struct.rlim[3].rlim_max"
    if shares(moment, "signal_cachep"):
        assert facts[0]["part"].startswith("+0x")
    else:
        assert facts[0]["part"] == whole


def test_page_tables(moment: Moment) -> None:
    """Each table that lab walk goes through is told with its level and its owner."""
    pid = moment.pid("static")
    start = int(moment.proc(pid, "maps").split("-")[0], 16)
    rows = moment.table(f"walk {start:#x} {pid}")
    pgd = int(moment.gdb(f"output/x $lab_task({pid})->mm->pgd"), 16)
    direct = pgd - rows[0]["table"]
    entries = [direct + row["table"] + 8 * row["index"] for row in rows]
    found = what(moment, *(f"{entry:#x}" for entry in entries))
    for row, entry, facts in zip(rows, entries, found):
        table = fact(facts, "page table")
        assert f", pid {pid}: {row['level']}, for " in table["what"]
        assert table["start"] == entry & -PAGE
        shift = {"pgd": 39, "pud": 30, "pmd": 21, "pte": 12}[row["level"]]
        first = start >> shift << shift
        assert table["part"] == f"entry {row['index']}, for {first:#x}"
    assert len(rows) == 4


def test_memory_of_processes(moment: Moment) -> None:
    """Area, file or owner, and frame of every page, as maps and pagemap have them."""
    checked = 0
    for scene in ("static", "dynamic", "memory", "huge"):
        pid = moment.pid(scene)
        pages = moment.pagemap(pid)
        for line in moment.proc(pid, "maps").splitlines():
            span, rights, offset, _, inode, *name = line.split(maxsplit=5)
            start, end = (int(part, 16) for part in span.split("-"))
            if name == ["[vsyscall]"]:
                continue
            place = (start + end) // 2 | 8
            (facts,) = what(moment, f"{place:#x} {pid}")
            area = fact(facts, "area")
            called = name[0].split(" (deleted)")[0] if name else "[anon]"
            assert called in area["what"] and f"({rights}) of " in area["what"]
            assert area["what"].endswith(f", pid {pid}")
            inside = place - start + (int(offset, 16) if inode != "0" else 0)
            assert area["part"].startswith(f"byte {inside:#x} of ")
            word = pages.get(place & -PAGE, 0)
            if place & -PAGE not in pages:
                continue  # behind the pages that the witness read
            if word >> 63 and word & (1 << 55) - 1:
                frame = fact(facts, "page frame")
                assert frame["what"].startswith(f"{word & (1 << 55) - 1:#x}: ")
                if word >> 61 & 1:
                    cached = [one for one in facts if one["is_"] == "page cache"]
                    if inode != "0" and cached:
                        assert f"inode {inode} of " in cached[0]["what"]
                        assert cached[0]["part"].startswith(f"byte {inside:#x} of ")
                        checked += 1
                else:
                    owned = [
                        one["start"]
                        for one in facts
                        if one["is_"] == "anonymous memory"
                    ]
                    if "zero page" not in frame["what"] and owned:
                        assert place in owned
                        checked += 1
            else:
                assert "page frame" not in [one["is_"] for one in facts]
    assert checked > 25


def test_holes_of_processes(moment: Moment) -> None:
    pid = moment.pid("static")
    for place in (0, 0x7FFF_FFFF_F000 - PAGE, 0x1_0000_0000):
        (facts,) = what(moment, f"{place:#x} {pid}")
        assert [one["is_"] for one in facts] == ["no area", "no page"]
        assert facts[0]["what"].endswith(f", pid {pid}")


def test_user_addresses_of_a_kernel_thread(moment: Moment) -> None:
    """They are nothing, and no PID's."""
    assert "it has no address space" in moment.refused("lab what 0x401000 2")


def test_symbols(moment: Moment) -> None:
    """Of each section of the image, and code with its line."""
    lines = moment.snapshot["/proc/kallsyms"].decode().splitlines()
    symbols = [line.split() for line in lines]
    image = [
        (int(address, 16), name)
        for address, _, name, *module in symbols
        if int(address, 16) >= 0xFFFF_FFFF_8000_0000 and not module
    ]
    start = next(address for address, name in image if name == "_text")
    end = next(address for address, name in image if name == "_end")
    image = [one for one in image if start <= one[0] < end][::400]
    found = what(moment, *(f"{address:#x}" for address, _ in image))
    for (address, name), facts in zip(image, found):
        named = [one for one in facts if one["is_"] == "symbol"]
        assert name in [one["what"] for one in named]
        assert {one["start"] for one in named} == {address}
    assert len(image) > 50
    (facts,) = what(moment, "'&__x64_sys_segment_info'+4")
    assert facts[0]["what"] == "__x64_sys_segment_info"
    assert re.fullmatch(r"\+0x4, \S+:\d+", facts[0]["part"])
    (alias,) = what(
        moment,
        f"{next(row['value'] for row in moment.table('translate &jiffies') if row['what'] == 'direct map'):#x}",
    )
    assert "jiffies" in [one["what"] for one in alias]


def test_per_cpu_variables(moment: Moment) -> None:
    """Each CPU has its own; by the address in its area of memory."""
    for cpu in (0, 1):
        base = f"__per_cpu_offset[{cpu}]"
        for name in ("runqueues", "cpu_info", "vmstat_work"):
            (facts,) = what(moment, f"'(unsigned long)&{name}+{base}+8'")
            assert facts[0]["is_"] == "per-CPU variable"
            assert facts[0]["what"] == f"{name} of CPU {cpu}"
            assert facts[0]["part"] == "+0x8"


def test_vmalloc_areas(moment: Moment) -> None:
    """Each line of /proc/vmallocinfo, by its first and its last address."""
    lines = moment.snapshot["/proc/vmallocinfo"].decode().splitlines()
    areas = []
    for line in lines:
        span, size, *rest = line.split()
        if "unpurged" not in line and "vm_map_ram" not in line:
            start = int(span.split("-")[0], 16)
            areas.append((start, int(size), rest[0] if rest else ""))
    firsts = what(moment, *(f"{start:#x}" for start, *_ in areas))
    lasts = what(moment, *(f"{start + size - 1:#x}" for start, size, _ in areas))
    for (start, size, caller), *both in zip(areas, firsts, lasts):
        for facts in both:
            area = fact(facts, "vmalloc area")
            assert area["start"] == start
            if "+0x" in caller:
                assert caller.split("+0x")[0] in area["what"]
        assert f"page {size // PAGE - 1} of {size // PAGE}" in (
            fact(both[1], "vmalloc area")["part"]
        )
    assert len(areas) > 20


def test_free_blocks(moment: Moment) -> None:
    """The blocks that lab buddy lists, from the first page to the last."""
    checked = 0
    for order in (0, 3, 10):
        rows = moment.table(f"buddy DMA32 {order}")[:20]
        ends = [row["address"] + (PAGE << order) - 1 for row in rows]
        for row, facts in zip(rows, what(moment, *(f"{end:#x}" for end in ends))):
            block = fact(facts, "free block")
            assert block["start"] == row["address"]
            assert block["what"] == f"of order {order}, in the buddy allocator"
            assert block["part"] == f"page {(1 << order) - 1} of {1 << order}"
            checked += 1
    assert checked > 5


def test_objects_free_and_in_use(moment: Moment) -> None:
    """All objects of a slab, as lab slabs has them; and what is left over behind them."""
    for cache in ("task_struct", "dentry", "kmalloc-64"):
        (row,) = [one for one in moment.table("slabs") if one["name"] == cache]
        drawing = next(part for part in moment.lab(f"slabs {cache}") if "data" in part)
        slab = drawing["data"][0]
        count = row["objperslab"]
        places = [slab["start"] + number * row["size"] for number in range(count)]
        found = what(moment, *(f"{place + 1:#x}" for place in places))
        for number, (place, facts) in enumerate(zip(places, found)):
            object_ = fact(facts, "object")
            assert object_["start"] == place
            state = "free" if number in slab["free"] else "in use"
            start = f"{number} of a slab of {cache}, {state}"
            assert object_["what"].startswith(start)
        room = (PAGE << row["order"]) - count * row["size"]
        if room:
            (facts,) = what(moment, f"{places[-1] + row['size']:#x}")
            assert facts[0]["is_"] == "slab" and "leave over" in facts[0]["what"]


def test_struct_pages(moment: Moment) -> None:
    """A struct page, its member, and the frame it stands for; and where they lie."""
    rows = moment.table("translate 0x300000")
    first = {row["what"]: row["value"] for row in rows}
    (facts,) = what(moment, f"{first['struct page'] + 8:#x}")
    assert facts[0]["is_"] == "struct page"
    assert facts[0]["what"].startswith("of frame 0x300: ")
    assert facts[0]["start"] == first["struct page"]
    alias = next(
        row["value"]
        for row in moment.table(f"translate {first['struct page']:#x} virt")
        if row["what"] == "direct map"
    )
    (facts,) = what(moment, f"{alias:#x}")
    low, high = map(
        lambda word: int(word, 16),
        re.findall("0x[0-9a-f]+", fact(facts, "struct pages")["what"]),
    )
    assert low <= 0x300 <= high and high - low == PAGE // 64 - 1


def test_regions_that_hold_nothing(moment: Moment) -> None:
    for place, kind in (
        ("0x1234567890abcdef", "nothing"),  # not canonical
        ("0xffff800000000010", "not mapped"),  # the guard hole
        ("0xffffffffffffffff", "nothing"),
        ("0xfffffe0000000000", "IDT"),
        ("0xffffffffff5fc000", "fixed address"),
    ):
        (facts,) = what(moment, place)
        assert facts[0]["is_"] == kind, facts


def test_entry_areas(moment: Moment) -> None:
    """By the pointer that each CPU has to its exception stacks."""
    for cpu in (0, 1):
        pointer = (
            f"*(unsigned long *)((unsigned long)&cea_exception_stacks+"
            f"__per_cpu_offset[{cpu}])"
        )
        (facts,) = what(moment, f"'{pointer}'")
        area = fact(facts, "CPU entry area")
        assert area["what"] == f"of CPU {cpu}"
        assert area["part"].startswith(".estacks.")
        (facts,) = what(
            moment,
            f"'{pointer}+(unsigned long)&((struct cea_exception_stacks *)0)->NMI_stack'",
        )
        assert fact(facts, "CPU stack")["what"] == f"of CPU {cpu}: NMI"


def some_addresses(moment: Moment, count: int) -> list[int]:
    """Random addresses: of RAM, of each region, near those that are used, of none."""
    dice = random.Random(451)
    ram = int(moment.gdb("output/x max_pfn"), 16) * PAGE
    direct = int(moment.gdb("output/x $lab_task()"), 16) >> 39 << 39
    starts = [int(moment.gdb(f"output/x {word}"), 16) for word in ("&_text", "$rsp")]
    starts += [row["start"] for row in moment.table("kernel")]
    found = []
    for number in range(count):
        if number % 2:
            found.append(direct + dice.randrange(ram))
        elif number % 4:
            near = dice.choice(starts) + dice.randrange(-1 << 16, 1 << 24)
            found.append(near % WORD)
        else:
            found.append(dice.randrange(WORD >> dice.randrange(17)))
    return found


def check_random(moment: Moment, dump: Path, vmlinux: Path, count: int) -> None:
    """No address is a mistake, and drgn says nothing else of any."""
    addresses = some_addresses(moment, count)
    pid = moment.pid("static")
    kernels = [address for address in addresses if address >= 1 << 63]
    for address in addresses:
        if address < 1 << 63:
            assert what(moment, f"{address:#x} {pid}")
    moment.gdb(f"lab dump {dump}")
    theirs = other_readers.drgn(
        vmlinux, dump, "identify.py", *(f"{address:x}" for address in kernels)
    )
    known = 0
    found = what(moment, *(f"{address:#x}" for address in kernels))
    for address, facts, told in zip(kernels, found, theirs):
        assert facts[-1]["is_"] in ("region", "nothing"), f"{address:#x}"
        for one in facts:
            if one["is_"] in ("object", "slab", "free block"):
                assert one["start"] <= address
        if told is None:
            continue
        known += 1
        kind, _, rest = told.partition(": ")
        name = rest.split("+")[0]
        said = [one["what"] for one in facts]
        if "slab object" in kind and facts[0]["is_"] == "slab":
            # drgn counts on behind the last object of a slab
            assert "leave over" in facts[0]["what"], (told, facts)
        elif "slab object" in kind:
            state = "free" if kind.startswith("free") else "in use"
            object_ = fact(facts, "object")
            assert f" of a slab of {name}, {state}" in object_["what"], (told, facts)
            offset = int(rest.split("+")[1], 16)
            assert object_["start"] == address - offset, (told, facts)
        else:
            assert "symbol" in kind, told
            assert name in said, (told, facts)
    assert known > count // 50


def test_random_addresses(moment: Moment, tmp_path: Path, vmlinux: Path) -> None:
    check_random(moment, tmp_path / "core", vmlinux, 300)


@pytest.mark.slow
def test_thousands_of_random_addresses(
    moment: Moment, tmp_path: Path, vmlinux: Path
) -> None:
    check_random(moment, tmp_path / "core", vmlinux, 6000)


OWNERS = """
import random
from lab.linux import census, owner
dice, wrong, kinds, whose, asked = random.Random(1), [], set(), {}, []
claim_all = census.Census.claim_all
def noting(self, kind, frames, owners, names):
    before = self.owner.copy()
    claim_all(self, kind, frames, owners, names)
    new = set((before != self.owner).nonzero()[0].tolist())
    first = {}
    for pfn, number in zip(frames.tolist(), owners.tolist()):
        if pfn in new and pfn not in whose:
            whose[pfn] = names[number]
            first.setdefault(number, []).append(pfn)
    asked.extend(pfn for frames in first.values() for pfn in frames[:3])
census.Census.claim_all = noting
try:
    whole = census.census()
finally:
    census.Census.claim_all = claim_all
asked += dice.sample(range(len(whole.owner)), 500)
for pfn in asked:
    found = owner.owner_of(pfn)
    kind = int(whole.owner[pfn])
    kinds.add(kind)
    name = census.NAMES[kind] if kind else census.NO_RAM_NAME
    if (found.kind, found.whose) != (name, whose.get(pfn, "")):
        wrong.append((pfn, found, name, whose.get(pfn)))
"""


def test_the_owner_is_that_of_the_census(moment: Moment) -> None:
    """Of frames of every owner there is, and of some hundreds more."""
    moment.gdb(f"python\n{OWNERS}\nend")
    assert moment.gdb("python print(wrong[:5])").strip() == "[]"
    assert int(moment.gdb("python print(len(kinds))")) > 9
    assert int(moment.gdb("python print(len(asked))")) > 900


# --- Damage ---------------------------------------------------------------------------

TASK = "$lab_task()"
DAMAGED = (
    (TASK, "init_task.tasks.next"),
    (TASK, "slab_caches.next"),
    (TASK, "((struct kmem_cache *)CACHE)->cpu_slab"),
    (TASK, "((struct kmem_cache *)CACHE)->node[0]->partial.next"),
    (TASK, "((struct kmem_cache *)CACHE)->name"),
    (TASK, "((struct page *)PAGE)->flags"),
    (TASK, "((struct page *)PAGE)->lru.next"),
    ("$rsp", "vmap_area_list.next"),
    ("$rsp", "init_task.tasks.next"),
    (f"{TASK}->mm->pgd", "init_task.tasks.next"),
    ("0xffffffffc0000000", "modules.next"),
    ("0x401000 1", "init_task.tasks.next"),
)


@pytest.mark.once
@pytest.mark.parametrize(("address", "place"), DAMAGED)
def test_damage_is_told_in_a_sentence(moment: Moment, address: str, place: str) -> None:
    """Whatever the value is: no traceback, no mistake of the lab's, no long wait."""
    cache = next(row for row in moment.table("slabs") if row["name"] == "task_struct")
    rows = moment.table(f"translate {TASK}")
    page = next(row["value"] for row in rows if row["what"] == "struct page")
    place = place.replace("CACHE", f"{cache['address']:#x}").replace(
        "PAGE", f"{page:#x}"
    )
    whole = moment.gdb(f"lab what {address}")
    for value in damage.VALUES.values():
        with damage.changed(moment, place, value):
            output, error = moment.try_gdb(f"lab what {address}", limit=10)
        told = output + error
        assert told and "mistake of the lab" not in told, told
        assert "Traceback" not in told
    assert moment.gdb(f"lab what {address}") == whole
