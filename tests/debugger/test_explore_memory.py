# SPDX-License-Identifier: GPL-2.0-only
"""lab mm, vmas, vma, list, rb, maple, map, random, $lab_...: compared with /proc at one moment."""

from __future__ import annotations

import json
import re
from typing import Any, Callable, NamedTuple

import pytest

from support import damage, labs
from support.witnessed import Moment

Moments = Callable[..., Moment]
PAGE = 4096
GATE = 0xFFFF_FFFF_FF60_0000  # [vsyscall]


class Line(NamedTuple):
    """One line of /proc/PID/maps."""

    start: int
    end: int
    perms: str
    offset: int
    dev: str
    inode: int
    name: str


def maps(moment: Moment, pid: int) -> list[Line]:
    """Read /proc/PID/maps, with names as the lab prints them."""
    found = []
    lines = moment.snapshot[f"/proc/{pid}/maps"].split(b"\n")[:-1]
    for line in map(labs.shown, lines):
        words = re.fullmatch(
            r"(\w+)-(\w+) (\S+) (\w+) (\S+) (\d+) *(.*)", line
        ).groups()
        start, end, perms, offset, dev, inode, name = words
        found.append(
            Line(
                int(start, 16),
                int(end, 16),
                perms,
                int(offset, 16),
                dev,
                int(inode),
                name,
            )
        )
    return found


def smaps(moment: Moment, pid: int) -> dict[int, dict[str, str]]:
    """Read /proc/PID/smaps: the lines of each area, by its start."""
    found: dict[int, dict[str, str]] = {}
    for line in moment.proc(pid, "smaps").splitlines():
        head = re.match(r"([0-9a-f]+)-[0-9a-f]+ ", line)
        if head:
            area = found[int(head.group(1), 16)] = {}
        else:
            name, _, value = line.partition(":")
            area[name] = value.strip()
    return found


def test_vmas_are_the_lines_of_maps(moments: Moments) -> None:
    moment = moments()
    assert len(moment.users()) > 15
    for pid in moment.users():
        if f"/proc/{pid}/maps" in moment.snapshot:
            rows = moment.table(f"vmas {pid}") if maps(moment, pid) else []
            found = [Line(*(row[name] for name in Line._fields)) for row in rows]
            assert found == maps(moment, pid), pid


def test_flags_and_sizes_are_those_of_smaps(moments: Moments) -> None:
    moment = moments()
    flags = set()
    for pid in moment.users():
        known = smaps(moment, pid)
        if not known:
            continue
        for row in moment.table(f"vmas {pid}"):
            fields = known[row["start"]]
            assert " ".join(row["flags"]) == fields["VmFlags"], row
            assert f"{row['size'] // 1024} kB" == fields["Size"]
            flags |= set(row["flags"])
    # The scenes show most of the values a flag can have
    assert flags >= set("rd wr ex sh mr mw me ms gd lo sr rr dc de ac nr ht".split())
    assert flags >= set("wf dd hg nh pf io ??".split())


def test_what_stands_behind_an_area(moments: Moments) -> None:
    moment = moments()
    seen = set()
    for pid in moment.users():
        for line, row in zip(
            maps(moment, pid), moment.table(f"vmas {pid}") if maps(moment, pid) else []
        ):
            seen.add((row["backing"], backing(line, row["flags"])))
    assert {found for found, _ in seen} == {known for _, known in seen}
    assert all(found == known for found, known in seen), seen
    assert {known for _, known in seen} >= {
        "file",
        "anonymous",
        "heap",
        "stack",
        "vdso",
        "vvar",
        "vsyscall",
        "shared memory",
        "huge pages",
        "device",
    }


def backing(line: Line, flags: list[str]) -> str:
    """Return what backs an area, according to its line in maps."""
    if "ht" in flags:
        return "huge pages"
    if line.name in ("[heap]", "[stack]", "[vdso]", "[vvar]", "[vsyscall]"):
        return line.name[1:-1]
    if line.name.startswith("[anon:") or not line.name:
        return "anonymous"
    if line.name.startswith("/dev/zero") and line.perms[3] == "p":
        return "anonymous"  # /dev/zero gives private memory
    if line.name.startswith(("/dev/zero", "/memfd:", "/SYSV", "[anon_shmem:")):
        return "shared memory"
    return "device" if line.name.startswith("/dev/") else "file"


def test_anon_vma_is_there_once_a_private_page_was_written(moments: Moments) -> None:
    moment = moments()
    pid = moment.pid("memory")
    known = smaps(moment, pid)
    for row in moment.table(f"vmas {pid}"):
        if int(known[row["start"]]["Anonymous"].split()[0]) and row["perms"][3] == "p":
            assert row["anon_vma"], row
        if row["backing"] == "anonymous" and not row["anon_vma"]:
            assert known[row["start"]]["Anonymous"] == "0 kB"


def test_twenty_thousand_areas(moments: Moments) -> None:
    moment = moments("many=20000")
    pid = moment.pid("many=20000")
    rows = moment.table(f"vmas {pid}")
    assert [Line(*(row[name] for name in Line._fields)) for row in rows] == maps(
        moment, pid
    )
    assert len(rows) > 20000
    text = moment.gdb(f"lab vmas {pid}").splitlines()
    assert len(text) == len(rows) + 2  # a heading and the rule below it


def neighbours(moment: Moment, pid: int, address: int) -> dict[str, dict[str, Any]]:
    """Return the rows of `lab vma ADDRESS` as before, here, after."""
    return {row["place"]: row for row in moment.table(f"vma {address:#x} {pid}")}


def test_every_area_is_found_by_its_addresses(moments: Moments) -> None:
    moment = moments()
    for scene in ("dynamic-pie", "memory"):
        pid = moment.pid(scene)
        lines = [line for line in maps(moment, pid) if line.start != GATE]
        for i, line in enumerate(lines):
            middle = (line.start + line.end) // 2
            for address in (line.start, middle, line.end - 1):
                found = neighbours(moment, pid, address)
                assert found["here"]["start"] == line.start
                assert found["here"]["name"] == line.name
                if i:
                    assert found["before"]["start"] == lines[i - 1].start
                else:
                    assert "before" not in found
                if i + 1 < len(lines):
                    assert found["after"]["start"] == lines[i + 1].start
                else:
                    assert "after" not in found


def test_every_gap_is_told_by_its_neighbours(moments: Moments) -> None:
    moment = moments()
    pid = moment.pid("dynamic-pie")
    lines = [line for line in maps(moment, pid) if line.start != GATE]
    gaps = [(0, lines[0].start)]
    gaps += [(line.end, after.start) for line, after in zip(lines, lines[1:])]
    for low, high in gaps:
        if low == high:
            continue
        for address in {low, (low + high) // 2, high - 1}:
            sentence, table = moment.lab(f"vma {address:#x} {pid}")
            assert f"in the gap {low:#x}-{high:#x}" in sentence
            assert f"{high - low:#x} bytes" in sentence
            places = {row["place"]: row for row in table["rows"]}
            assert places["after"]["start"] == high
            assert low == 0 or places["before"]["end"] == low
    sentence = moment.lab(f"vma {lines[-1].end:#x} {pid}")[0]
    assert f"in the gap {lines[-1].end:#x}-0x7ffffffff000" in sentence


def test_the_members_of_an_area(moments: Moments) -> None:
    moment = moments()
    pid = moment.pid("memory")
    for row in moment.table(f"vmas {pid}")[:-1]:
        sentence, around, flags, members, pages = moment.lab(
            f"vma {row['start']:#x} {pid}"
        )
        values = {row["member"]: row["value"] for row in members["rows"]}
        assert int(values["vm_start"], 16) == row["start"]
        assert int(values["vm_end"], 16) == row["end"]
        assert int(values["vm_pgoff"], 16) == row["pgoff"]
        codes = [row["code"] for row in flags["rows"] if row["code"]]
        assert codes == row["flags"]
        bits = sum(row["value"] for row in flags["rows"])
        assert int(values["vm_flags"], 16) == bits
        assert all(row["meaning"] for row in members["rows"] + flags["rows"])
        assert sum(row["size"] for row in pages["rows"]) == row["size"]


def test_pages_of_an_area_are_those_of_smaps(moments: Moments) -> None:
    moment = moments()
    for scene in ("static", "memory", "huge"):
        pid = moment.pid(scene)
        known = smaps(moment, pid)
        checked = 0
        for line in maps(moment, pid):
            rss = int(known[line.start]["Rss"].split()[0]) * 1024
            flags = known[line.start]["VmFlags"].split()
            # A device's pages and hugetlb's are not counted as resident
            if line.start == GATE or {"pf", "ht"} & set(flags):
                continue
            pages = moment.lab(f"vma {line.start:#x} {pid}")[4]["rows"]
            there = [page for page in pages if page["kind"] in ("present", "protnone")]
            assert sum(page["size"] for page in there) == rss, line
            checked += 1
        assert checked > 5


def test_refusals(moments: Moments) -> None:
    moment = moments()
    assert "kernel thread" in moment.refused("lab vmas 2")
    assert "kernel thread" in moment.refused("lab mm 2")
    assert "There is no task 32000" in moment.refused("lab vmas 32000")
    assert "not canonical" in moment.refused("lab vma 0x800000000000 1")
    assert "kernel's half" in moment.refused("lab vma linux_banner 1")
    assert "Usage: lab vma ADDRESS [PID]" in moment.refused("lab vma")
    assert "Usage: lab mm [PID]" in moment.refused("lab mm 1 2")
    assert "no address" in moment.refused("lab vma nonsense 1")
    zombie = moment.pid("family", "zombie")
    assert "has ended" in moment.refused(f"lab mm {zombie}")
    assert "has ended" in moment.refused(f"lab vmas {zombie}")


def test_mm_counters_are_those_of_status(moments: Moments) -> None:
    moment = moments()
    for pid in moment.users():
        if not maps(moment, pid):
            continue
        status, statm = moment.status(pid), moment.proc(pid, "statm").split()
        parts = moment.lab(f"mm {pid}")
        counters = {row["counter"]: row for row in parts[2]["rows"]}
        rss = {row["pages_of"]: row for row in parts[3]["rows"]}

        def kib(name: str) -> int:
            return int(status[name].split()[0]) * 1024

        assert counters["total_vm"]["size"] == kib("VmSize")
        assert counters["total_vm"]["value"] == int(statm[0])
        assert counters["stack_vm"]["size"] == kib("VmStk")
        assert counters["locked_vm"]["size"] == kib("VmLck")
        assert counters["pinned_vm"]["size"] == kib("VmPin")
        assert counters["data_vm"]["size"] == kib("VmData")
        assert counters["exec_vm"]["size"] == kib("VmExe") + kib("VmLib")
        assert counters["pgtables_bytes"]["value"] // 1024 * 1024 == kib("VmPTE")
        assert counters["hugetlb_usage"]["size"] == kib("HugetlbPages")
        assert max(counters["hiwater_vm"]["size"], kib("VmSize")) == kib("VmPeak")
        assert max(counters["hiwater_rss"]["size"], kib("VmRSS")) == kib("VmHWM")
        assert (
            counters["map_count"]["value"] == len(maps(moment, pid)) - 1
        )  # the gate is not an area
        assert rss["anon"]["counted"] * PAGE == kib("RssAnon")
        assert rss["file"]["counted"] * PAGE == kib("RssFile")
        assert rss["shmem"]["counted"] * PAGE == kib("RssShmem")
        assert rss["swap"]["counted"] * PAGE == kib("VmSwap")
        assert rss["resident"]["counted"] == int(statm[1])


def test_pending_pages_make_the_counters_right(moments: Moments) -> None:
    """The pending counts of tasks and CPUs are the difference to the page tables."""
    moment = moments()
    pending = 0
    for scene in ("static", "memory", "threads", "dynamic"):
        pid = moment.pid(scene)
        rss = {row["pages_of"]: row for row in moment.table(f"mm {pid}", 1)}
        there = sum(int(area["Rss"].split()[0]) for area in smaps(moment, pid).values())
        assert rss["resident"]["size"] == there * 1024
        pending += abs(rss["resident"]["pending"])
    assert pending


NOTES = """python
from lab.linux import task
from lab.window import picture
notes = picture._boundaries(task.task(task.find_task_by_pid({pid})).mm)
print(next(note.start for note in notes if note.name == "mmap_base"))
end"""


@pytest.mark.parametrize("scene", ["legacy", "static"])
def test_direction_of_mmap(moments: Moments, scene: str) -> None:
    """mmap() searches up or down from mmap_base, and all views say and draw it so."""
    moment = moments()
    pid = moment.pid(scene)
    found = {
        boundary["name"]: boundary for boundary in moment.lab(f"mm {pid}")[1]["data"]
    }
    base, legacy = found["mmap_base"], found["mmap_legacy_base"]["address"]
    at, is_up = base["address"], scene == "legacy"
    assert (at == legacy) == is_up
    mapped = [line for line in maps(moment, pid) if legacy <= line.start < 0x7FFC << 32]
    if is_up:
        assert mapped[0].start == at and base["start"] == at
        assert base["meaning"] == "mmap() places areas above: the legacy layout"
        assert moment.gdb(NOTES.format(pid=pid)) == f"{at}\n"
    else:
        assert all(line.end <= at for line in mapped)
        assert base["meaning"] == "mmap() places areas below"
    half = moment.lab(f"map {pid}")[-1]["data"]
    (drawn,) = [area for area in half if "mmap_base" in area["marks"]]
    assert drawn["start"] <= at - (not is_up) < drawn["end"]
    assert drawn["name"] or not is_up


def test_boundaries_are_those_of_stat(moments: Moments) -> None:
    moment = moments()
    fields = {
        "start_code": 26,
        "end_code": 27,
        "start_stack": 28,
        "start_data": 45,
        "end_data": 46,
        "start_brk": 47,
        "arg_start": 48,
        "arg_end": 49,
        "env_start": 50,
        "env_end": 51,
    }
    for pid in moment.users():
        lines = maps(moment, pid)
        if not lines:
            continue
        drawing = moment.lab(f"mm {pid}")[1]
        found = {boundary["name"]: boundary for boundary in drawing["data"]}
        stat = moment.stat(pid)
        for name, number in fields.items():
            assert found[name]["address"] == int(stat[number]), name
        addresses = [boundary["address"] for boundary in drawing["data"]]
        assert addresses == sorted(addresses)
        heap = [line for line in lines if line.name == "[heap]"]
        if heap:
            # The area extends to the end of the page that contains brk
            assert heap[0].start <= found["start_brk"]["address"] < heap[-1].end
            assert -(-found["brk"]["address"] // PAGE) * PAGE == heap[-1].end
        for boundary in found.values():
            if boundary["vma"]:
                areas = [(line.start, line.end) for line in lines]
                assert (boundary["start"], boundary["end"]) in areas
                assert boundary["start"] <= boundary["address"] <= boundary["end"]
            else:
                inside = boundary["address"]
                assert not any(line.start < inside < line.end for line in lines)


def test_who_shares_an_address_space(moments: Moments) -> None:
    moment = moments()
    pid = moment.pid("threads")
    users = moment.table(f"mm {pid}", 2)
    own = sorted(user["pid"] for user in users if user["how"] == "its own")
    assert own == moment.tids(pid)
    counters = {row["counter"]: row["value"] for row in moment.table(f"mm {pid}")}
    assert counters["mm_users"] == len(own)
    borrowers = [user for user in users if user["how"] == "borrowed"]
    assert all(moment.ppid(user["tgid"]) in (0, 2) for user in borrowers)


def is_listed(moment: Moment) -> bool:
    """Does this kernel have the list and the red-black tree?"""
    return "NO_LIST" not in moment.gdb(
        "python print('' if gdb.lookup_type('struct mm_struct').fields()[0].type."
        "fields()[0].name == 'mmap' else 'NO_LIST')"
    )


def test_the_list(moments: Moments) -> None:
    moment = moments()
    pid = moment.pid("memory")
    if not is_listed(moment):
        (sentence,) = moment.lab(f"list {pid}")
        assert "6.1" in sentence and "lab maple" in sentence
        pytest.skip("this kernel has a maple tree instead")
    drawing, rules = moment.lab(f"list {pid}")
    rows = moment.table(f"vmas {pid}")[:-1]
    chain = [area["vma"] for area in drawing["data"]]
    assert chain == [row["vma"] for row in rows]
    assert [area["next"] for area in drawing["data"]] == [*chain[1:], 0]
    assert [area["prev"] for area in drawing["data"]] == [0, *chain[:-1]]
    assert all(rule["holds"] is True for rule in rules["rows"])
    text = moment.gdb(f"lab list {pid}")
    assert text.count("⇅") == len(chain) - 1 and "NULL" in text


@pytest.mark.parametrize("scene", ("static", "memory", "many=20000"))
def test_the_red_black_tree(moments: Moments, scene: str) -> None:
    moment = moments("many=20000") if scene == "many=20000" else moments()
    pid = moment.pid(scene)
    if not is_listed(moment):
        (sentence,) = moment.lab(f"rb {pid}")
        assert (
            "6.1" in sentence and "524e00b36e8c" in sentence and "lab maple" in sentence
        )
        pytest.skip("this kernel has a maple tree instead")
    drawing, sentence, rules = moment.lab(f"rb {pid}")
    nodes = drawing["data"]
    rows = moment.table(f"vmas {pid}")[:-1]
    assert [node["vma"] for node in nodes] == [row["vma"] for row in rows]
    assert all(rule["holds"] is True for rule in rules["rows"]), rules
    by_address = {node["vma"]: node for node in nodes}
    (root,) = [node for node in nodes if not node["parent"]]
    assert root["depth"] == 0 and root["colour"] == "black"
    for node in nodes:
        for side in ("left", "right"):
            if node[side]:
                child = by_address[node[side]]
                assert child["parent"] == node["vma"]
                assert child["depth"] == node["depth"] + 1
                assert (child["start"] < node["start"]) == (side == "left")
                assert "black" in (node["colour"], child["colour"])
    # The widest hole below the root is the widest of all in maps; the guard below the
    # stack belongs to the stack
    ends = [0, *(row["end"] for row in rows)]
    starts = [row["start"] - (0x100000 if "gd" in row["flags"] else 0) for row in rows]
    widest = max(start - end for start, end in zip(starts, ends))
    assert root["rb_subtree_gap"] == widest
    lines = moment.gdb(f"lab rb {pid}").splitlines()[: len(nodes)]
    assert all(" B " in f" {line}" or " R " in f" {line}" for line in lines)
    assert [int(re.search(r"0x(\w+)-", line).group(1), 16) for line in lines] == [
        row["start"] for row in rows
    ]


@pytest.mark.parametrize("scene", ("static", "memory", "many=20000"))
def test_the_maple_tree(moments: Moments, scene: str) -> None:
    moment = moments("many=20000") if scene == "many=20000" else moments()
    pid = moment.pid(scene)
    if is_listed(moment):
        (sentence,) = moment.lab(f"maple {pid}")
        assert "6.1" in sentence and "lab rb" in sentence and "lab list" in sentence
        pytest.skip("this kernel has a list and a red-black tree instead")
    drawing, rules = moment.lab(f"maple {pid}")
    assert all(rule["holds"] is True for rule in rules["rows"]), rules
    nodes = drawing["data"]["nodes"]
    rows = moment.table(f"vmas {pid}")[:-1]
    entries = []
    for node in nodes:
        if node["type"] != "leaf_64":
            continue
        first = node["min"]
        for last, slot in zip((*node["pivots"], node["max"]), node["slots"]):
            if slot:
                entries.append((first, last + 1, slot))
            first = last + 1
    assert entries == [(row["start"], row["end"], row["vma"]) for row in rows]
    by_address = {node["node"]: node for node in nodes}
    for node in nodes[1:]:
        parent = by_address[node["parent"]]
        assert parent["slots"][node["parent_slot"]] & ~0xFF == node["node"]
    text = moment.gdb(f"lab maple {pid}")
    assert text.count("leaf_64") == sum(node["type"] == "leaf_64" for node in nodes)
    for row in rows[:50]:
        assert f"{row['start']:#x}-{row['end']:#x}" in text


@pytest.mark.parametrize("scene", ("dynamic-pie", "memory", "many=20000"))
def test_the_map_covers_everything(moments: Moments, scene: str) -> None:
    moment = moments("many=20000") if scene == "many=20000" else moments()
    pid = moment.pid(scene)
    upper, _, lower = moment.lab(f"map {pid}")
    for half, start, end in (
        (lower["data"], 0, 0x7FFF_FFFF_F000),
        (upper["data"], 0xFFFF_8000_0000_0000, 1 << 64),
    ):
        assert half[0]["start"] == start and half[-1]["end"] == end
        for area, after in zip(half, half[1:]):
            assert area["start"] < area["end"] == after["start"]
    lines = [line for line in maps(moment, pid) if line.start != GATE]
    drawn = [area for area in lower["data"] if area["name"]]
    assert [(area["start"], area["end"], area["perms"]) for area in drawn] == [
        (line.start, line.end, line.perms) for line in lines
    ]
    marks = {name: at for area in lower["data"] for name, at in area["marks"].items()}
    known = {
        boundary["name"]: boundary["address"]
        for boundary in moment.lab(f"mm {pid}")[1]["data"]
    }
    assert marks == known
    text = moment.gdb(f"lab map {pid}")
    assert max(map(len, text.splitlines())) <= 80
    assert all(f"{name} {at:x}" in text for name, at in known.items())
    group = {area["name"]: area["group"] for area in drawn}
    assert group["[stack]"] == "stack" and group["[vdso]"] == "pages of the kernel"
    assert group.get("[heap]", "heap") == "heap"
    program = moment.snapshot[f"/proc/{pid}/exe"].decode()
    assert group[program] == "program"


def test_convenience_functions(moments: Moments) -> None:
    moment = moments()
    pid = moment.pid("memory")
    mm = moment.lab(f"mm {pid}")[0]
    assert mm.startswith("mm_struct " + value(moment, f"$lab_mm({pid})"))
    assert value(moment, f"$lab_task({pid})->pid") == hex(pid)
    assert value(moment, f"$lab_task({pid})->mm == $lab_mm({pid})") == "0x1"
    assert value(moment, f"$lab_task() == $lab_task({moment.witness})") == "0x1"
    row = moment.table(f"vmas {pid}")[1]
    area = f"$lab_vma({row['start'] + 5}, {pid})"
    assert value(moment, area) == hex(row["vma"])
    assert value(moment, f"{area}->vm_end") == hex(row["end"])
    assert "(struct vm_area_struct *) 0x" in moment.gdb(f"print {area}")
    assert value(moment, f"$lab_vma(4096, {pid})") == "0x0"
    assert "kernel thread" in moment.refused("print $lab_mm(2)")
    assert "There is no task" in moment.refused("print $lab_task(31999)")
    assert "Usage" in moment.refused("print $lab_vma()")
    for wrong in ("", "5", '"a", "b"'):
        assert 'Usage: $lab_symbol("NAME")' in moment.refused(
            f"print $lab_symbol({wrong})"
        )
    for wrong in ("no_such_symbol", "\\377", ""):
        said = moment.refused(f'print $lab_symbol("{wrong}")')
        assert "is no name of one symbol: there are none" in said
    banner = moment.gdb('output $lab_symbol("linux_banner")')
    assert banner == moment.gdb("output (void *)&linux_banner")


COMMANDS = "mm vmas vma list rb maple walk phys read map kernel".split()


def test_the_examples_of_the_help_work(moments: Moments) -> None:
    moment = moments()
    functions = [f"function lab_{name}" for name in ("task", "mm", "vma")]
    for topic in [f"lab {name}" for name in COMMANDS] + functions:
        output = moment.gdb(f"help {topic}")
        examples = re.findall(r"^ *\(gdb\) (.*)", output, re.M)
        assert examples, topic
        for example in examples:
            assert moment.gdb(example).strip(), example


def value(moment: Moment, expression: str) -> str:
    """Return an expression's value as a number in hex."""
    output = moment.gdb(f"output/x (unsigned long)({expression})")
    return output.strip()


def test_random_places(moments: Moments) -> None:
    """Of programs of all kinds, and in the legacy layout: those of /proc."""
    moment = moments()
    kinds = set()
    for pid in moment.users():
        if not moment.proc(pid, "maps"):
            continue  # a zombie
        heading, places, *_ = moment.lab(f"random {pid}")
        assert f"pid {pid}, " in heading and places["broken"] == ""
        rows = {row["what"]: row for row in places["rows"]}
        stat, maps = moment.stat(pid), moment.proc(pid, "maps")
        assert rows["stack pointer"]["here"] == int(stat[28])
        assert rows["heap"]["here"] == int(stat[47])
        stack = re.search(r"-([0-9a-f]+) .*\[stack\]$", maps, re.M)
        assert stack and rows["stack"]["here"] == int(stack[1], 16)
        vdso = re.search(r"^([0-9a-f]+)-.*\[vdso\]$", maps, re.M)
        assert vdso and rows["vdso"]["here"] == int(vdso[1], 16)
        wrong = [row for row in rows.values() if row["fits"] is not True]
        assert wrong == [], (pid, moment.comm(pid), wrong)
        kinds.add(" ".join(rows["mmap_base"]["how"].split()[:3]))
        kinds |= rows.keys()
    assert {"arch_mmap_rnd(): pages above", "arch_mmap_rnd(): pages below"} <= kinds
    assert "interpreter" in kinds


@pytest.mark.parametrize(
    ("place", "part", "says"),
    [
        ("mmap_rnd_bits", "places", "mmap_rnd_bits is .*: no address has so many bits"),
        ("saved_command_line", "switches", "cannot read 0x"),
        ("kernel_config_data", "switches", "the configuration at 0x.* is damaged"),
        ("stack_guard_gap", "", ""),
    ],
)
def test_random_with_damage(moments: Moments, place: str, part: str, says: str) -> None:
    """What does not depend on it is shown all the same."""
    moment = moments()
    command = f"lab random {moment.pid('static')} --json"
    whole = json.loads(moment.gdb(command))
    for name, value in damage.VALUES.items():
        if place == "mmap_rnd_bits" and value & 0xFFFF_FFFF < 41:
            continue  # a number of bits that could be
        with damage.changed(moment, f"*(unsigned long *)&{place}", value):
            found = json.loads(moment.gdb(command))
        if part:
            assert re.match(says, found[part]["broken"]), (name, found[part])
        for title in ("places", "kernel", "switches"):
            if title != part and (title, place) != ("kernel", "saved_command_line"):
                assert found[title]["broken"] == "", (name, title)
                assert len(found[title]["rows"]) == len(whole[title]["rows"])
