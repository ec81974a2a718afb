# SPDX-License-Identifier: GPL-2.0-only
"""lab zones, buddy, meminfo, vmalloc, count: compared with /proc at one moment."""

from __future__ import annotations

import ast
import re
import struct
import time
from typing import Any, Callable

import pytest

from support import damage
from support.witnessed import Moment

Moments = Callable[..., Moment]
Zones = dict[tuple[int, str], dict[str, Any]]
PAGE = 4096
VMALLOC_FLAGS = ("ioremap", "vmalloc", "vmap", "user", "dma-coherent", "vpages")


def text(moment: Moment, path: str) -> str:
    """A file of the kernel's counters."""
    assert path not in moment.snapshot.errors
    return moment.snapshot[path].decode()


def zoneinfo(moment: Moment) -> Zones:
    """Take /proc/zoneinfo apart: by node and zone, each "NAME VALUE" of it.

    Of the node's own counters "node NAME", of a CPU's "cpu N NAME".
    """
    found: Zones = {}
    prefix = ""
    for line in text(moment, "/proc/zoneinfo").splitlines():
        head = re.fullmatch(r"Node (\d+), zone +(\S+)", line)
        words = line.replace(":", "").split()
        if head:
            zone = found[int(head[1]), head[2]] = {}
            prefix = ""
        elif words == ["per-node", "stats"]:
            prefix = "node "
        elif words[0] == "pages":  # "pages free 12"
            prefix = ""
            zone["free"] = int(words[2])
        elif words[0] == "cpu":
            prefix = f"cpu {words[1]} "
        elif words[0] in ("node_unreclaimable", "start_pfn"):
            zone[words[0]] = int(words[1])
        elif words[0] == "protection":
            zone["protection"] = line.split("(")[1].rstrip(")")
        elif words[:3] == ["vm", "stats", "threshold"]:
            zone[f"{prefix}stat_threshold"] = int(words[3])
        elif len(words) == 2:
            zone[prefix + words[0]] = int(words[1])
        else:
            assert words == ["pagesets"], line
    return found


def differences(found: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    """What differs, by name: found and expected."""
    return {
        name: (found.get(name), expected.get(name))
        for name in {*found, *expected}
        if found.get(name) != expected.get(name)
    }


def test_zones_are_those_of_zoneinfo(moments: Moments) -> None:
    """Every number of /proc/zoneinfo is in the report, and the same."""
    moment = moments()
    expected = zoneinfo(moment)
    _, nodes, zones, per_cpu, counters = moment.lab("zones")
    found: Zones = {}
    stuck = {row["node"]: row["unreclaimable"] == "yes" for row in nodes["rows"]}
    for row in zones["rows"]:
        zone = found[row["node"], row["zone"]] = {}
        for name in ("free", "min", "low", "high", "spanned", "present", "managed"):
            zone[name] = row[name]
        zone["protection"] = row["protection"]
        if any("boost" in one for one in expected.values()):  # since v6.1
            zone["boost"] = row["boost"]
        if any("cma" in one for one in expected.values()):
            zone["cma"] = row["cma"] or 0
        if row["present"]:
            zone["start_pfn"] = row["start_pfn"]
            zone["node_unreclaimable"] = int(stuck[row["node"]])
    first = {node: next(k for k in found if k[0] == node) for node, _ in found}
    for row in counters["rows"]:
        node, name = row["node"], row["zone"]
        if name is None:
            found[first[node]][f"node {row['counter']}"] = row["value"]
        else:
            found[node, name][row["counter"]] = row["value"]
    for row in per_cpu["rows"]:
        zone = found[row["node"], row["zone"]]
        cpu = f"cpu {row['cpu']} "
        zone[f"{cpu}count"] = row["pages"]
        for name in ("high", "batch", "stat_threshold"):
            zone[cpu + name] = row[name]
    assert found.keys() == expected.keys()
    for key, zone in expected.items():
        assert differences(found[key], zone) == {}, key
    assert sum(len(zone) for zone in found.values()) > 75


def test_zones_are_drawn_to_scale(moments: Moments) -> None:
    moment = moments()
    drawing, _, zones, *_ = moment.lab("zones")
    lines = [line for line in moment.gdb("lab zones").splitlines() if "  used " in line]
    rows = [row for row in zones["rows"] if row["present"]]
    assert len(drawing["data"]) == len(rows) == len(lines)
    for row, zone, line in zip(rows, drawing["data"], lines):
        assert zone["used"] + zone["free"] == row["managed"] * PAGE
        assert zone["unmanaged"] == (row["present"] - row["managed"]) * PAGE
        bar = re.search(r"[█░·]+", line)[0]
        assert len(bar) == 40
        share = zone["free"] / (row["present"] * PAGE)
        assert abs(bar.count("░") / 40 - share) < 2 / 40


def test_free_blocks_are_those_of_buddyinfo(moments: Moments) -> None:
    moment = moments()
    expected = {}
    for line in text(moment, "/proc/buddyinfo").splitlines():
        words = line.replace(",", "").split()  # Node 0 zone DMA 1 0 ...
        expected[int(words[1]), words[3]] = list(map(int, words[4:]))
    orders = moment.table("buddy")
    found: dict[tuple[int, str], list[int]] = {}
    for row in orders:
        found.setdefault((row["node"], row["zone"]), []).append(row["blocks"])
        assert row["free"] == row["blocks"] * row["block"]
        assert row["block"] == PAGE << row["order"]
    assert found == expected
    assert sum(map(sum, found.values())) > 20


def test_free_lists_are_those_of_pagetypeinfo(moments: Moments) -> None:
    moment = moments()
    expected = {}
    for line in text(moment, "/proc/pagetypeinfo").splitlines():
        words = line.replace(",", "").split()
        if words[:1] == ["Node"] and "type" in words:
            expected[int(words[1]), words[3], words[5]] = list(map(int, words[6:]))
    found: dict[tuple[int, str, str], list[int]] = {}
    for row in sorted(moment.table("buddy", 1), key=lambda row: row["order"]):
        key = row["node"], row["zone"], row["type"]
        found.setdefault(key, []).append(row["blocks"])
    assert found == expected
    assert len({kind for _, _, kind in found}) >= 4


def test_blocks_of_an_order(moments: Moments) -> None:
    """They start at multiples of their size, do not overlap, and are free frames."""
    moment = moments()
    seen: set[int] = set()
    listed = 0
    for row in moment.table("buddy"):
        rows = moment.table(f"buddy {row['zone']} {row['order']}")
        assert len(rows) == row["blocks"]
        listed += len(rows)
        for block in rows:
            frames = range(block["pfn"], block["pfn"] + block["pages"])
            assert block["pages"] == 1 << row["order"]
            assert block["pfn"] % block["pages"] == 0 and not seen & set(frames)
            seen.update(frames)
    assert listed > 20
    kpageflags = moment.snapshot["/proc/kpageflags"]
    free = {  # KPF_BUDDY
        pfn
        for pfn in range(len(kpageflags) // 8)
        if int.from_bytes(kpageflags[8 * pfn : 8 * pfn + 8], "little") >> 10 & 1
    }
    assert free == seen


def test_buddy_refuses(moments: Moments) -> None:
    moment = moments()
    assert "Nowhere is no zone with pages: there are DMA" in moment.refused(
        "lab buddy Nowhere"
    )
    assert "orders 0 to 10, not 11" in moment.refused("lab buddy DMA 11")
    assert "Usage: lab buddy" in moment.refused("lab buddy DMA 1 2")


def test_meminfo(moments: Moments) -> None:
    moment = moments()
    expected = []
    for line in text(moment, "/proc/meminfo").splitlines():
        name, value, *unit = line.replace(":", " ").split()
        expected.append((name, int(value), *(unit or [""])))
    lines, counters = moment.lab("meminfo")
    found = [(row["line"], row["value"], row["unit"]) for row in lines["rows"]]
    assert found == expected
    assert len(found) > 40
    sums: dict[str, int] = {}
    for row in counters["rows"]:
        sums[row["line"]] = sums.get(row["line"], 0) + row["value"] * row["kib"]
    for name, value, unit in found:
        if unit and name not in ("CommitLimit", "Hugepagesize"):  # a share; an order
            assert max(sums.get(name, 0), 0) == value, name


def vmallocinfo(moment: Moment) -> list[tuple[Any, ...]]:
    """Each line of /proc/vmallocinfo: start, end, size, caller, pages, phys, flags."""
    found = []
    for line in text(moment, "/proc/vmallocinfo").splitlines():
        head = re.match(r"0x(\w+)-0x(\w+) +(\d+) ?", line)
        rest = line[head.end() :]
        words = rest.split()
        if rest in ("vm_map_ram", "unpurged vm_area"):
            caller, flags = "", [rest]
        else:
            caller = re.sub(
                r" (pages=|phys=|ioremap|vmalloc|vmap|user|dma-|vpages).*", "", rest
            )
            flags = [word for word in words if word in VMALLOC_FLAGS]
        values = dict(word.split("=") for word in words if "=" in word)
        found.append(
            (
                int(head[1], 16),
                int(head[2], 16),
                int(head[3]),
                caller,
                int(values.get("pages", 0)),
                int(values.get("phys", "0"), 16),
                flags,
            )
        )
    return found


def test_vmalloc_is_vmallocinfo(moments: Moments) -> None:
    moment = moments()
    _, _, areas = moment.lab("vmalloc")
    found = [
        (
            row["start"],
            row["end"],
            row["size"],
            row["caller"],
            row["pages"],
            row["physical"] or 0,
            [flag for flag in row["purpose"] if not flag.startswith("VM_")],
        )
        for row in areas["rows"]
    ]
    assert found == vmallocinfo(moment)
    assert len(found) > 20


def test_vmalloc_says_who_uses_how_much(moments: Moments) -> None:
    summary, drawing, areas = moments().lab("vmalloc")
    total = sum(row["size"] for row in areas["rows"])
    assert sum(user["size"] for user in drawing["data"]) == total
    assert f"{len(areas['rows'])} areas use " in summary
    sizes = [user["size"] for user in drawing["data"]]
    assert sizes == sorted(sizes, reverse=True)


def test_count_is_what_ps_would_count(moments: Moments) -> None:
    moment = moments()
    sums, states, counters = moment.lab("count")[:3]
    number = {row["what"]: row["number"] for row in sums["rows"]}
    users = [*moment.users(), moment.witness]
    assert number["processes"] == len(users)
    threads = sum(len(moment.tids(pid)) for pid in users)
    of_kernel = [pid for pid in moment.pids() if pid not in users]
    assert abs(number["kernel threads"] - len(of_kernel)) <= 3  # they come and go
    assert number["threads"] - number["kernel threads"] == threads
    zombies = [pid for pid in users if moment.stat(pid)[3] == "Z"]
    assert number["of these, zombies"] == len(zombies) > 0
    assert number["idle tasks"] == 2
    assert all(row["agrees"] is True for row in counters["rows"]), counters
    assert sum(row["threads"] for row in states["rows"]) == number["threads"]


@pytest.mark.parametrize("kind", ["virt", "phys", "pfn", "page"])
def test_translate_is_the_same_from_all_four(moments: Moments, kind: str) -> None:
    """From any of the four one comes to the same others, and to the frame of `lab phys`."""
    moment = moments()
    address = moment.table(f"task {moment.witness}", 0)  # any report with an address
    task = int(moment.gdb("output/x $lab_task()"), 16)
    assert address
    first = {row["what"]: row["value"] for row in moment.table(f"translate {task:#x}")}
    value = {
        "virt": first["direct map"],
        "phys": first["physical address"],
        "pfn": first["page frame number"],
        "page": first["struct page"],
    }[kind]
    again = {
        row["what"]: row["value"]
        for row in moment.table(f"translate {value:#x} {kind}")
    }
    frame = first["page frame number"]
    assert again["page frame number"] == frame == first["physical address"] >> 12
    assert again["struct page"] == first["struct page"]
    assert again["direct map"] & -PAGE == first["direct map"] & -PAGE
    page = moment.table(f"phys {first['physical address']:#x}", 2)[0]
    assert (page["frame"], page["page"]) == (frame, first["struct page"])


def test_translate_refuses(moments: Moments) -> None:
    moment = moments()
    for given, said in (
        ("0x1000 virt", "is an address of user space"),
        (
            "0x12345 there",
            "there is no kind of value: give one of virt, phys, pfn, page",
        ),
        ("0xffffffffffffffff phys", "is no physical address"),
        ("0xffff888000000000 page", "is no struct page"),
        ("0xffffea0000000001 page", "is 1 bytes inside the struct page"),
        ("0x0fff000000000000 virt", "is not canonical"),
    ):
        assert said in moment.refused(f"lab translate {given}")


# --- Slab caches ----------------------------------------------------------------------


def test_slabs_are_slabinfo(moments: Moments) -> None:
    moment = moments()
    expected = []
    for line in text(moment, "/proc/slabinfo").splitlines()[2:]:
        words = line.split()
        data = words[words.index("slabdata") + 1 :]
        expected.append((words[0], *map(int, words[1:6]), int(data[1])))
    found = [
        (
            row["name"],
            row["active_objs"],
            row["num_objs"],
            row["size"],
            row["objperslab"],
            1 << row["order"],
            row["slabs"],
        )
        for row in moment.table("slabs")
    ]
    assert found == expected
    assert len(found) > 40


@pytest.mark.parametrize(
    "cache", ["task_struct", "mm_struct", "sighand_cache", "dentry", "kmalloc-64"]
)
def test_slabs_of_a_cache(moments: Moments, cache: str) -> None:
    """All slabs are found, also full ones; objects that are free are on a list."""
    moment = moments()
    (row,) = [row for row in moment.table("slabs") if row["name"] == cache]
    _, drawing, slabs, *_ = moment.lab(f"slabs {cache}")
    assert slabs["broken"] == ""
    assert len(slabs["rows"]) == row["slabs"] > 0
    assert sum(slab["objects"] for slab in slabs["rows"]) == row["num_objs"]
    # what CPUs keep free counts as active, but not here
    used = sum(slab["used"] for slab in slabs["rows"])
    assert 0 < used <= row["active_objs"]
    for slab, data in zip(slabs["rows"], drawing["data"]):
        assert slab["used"] + slab["free"] == slab["objects"]
        assert len(data["free"]) == slab["free"]
        assert slab["start"] % (PAGE << slab["order"]) == 0


def test_objects_are_all_tasks(moments: Moments) -> None:
    """Every task is an object in use of task_struct, every process's memory of mm_struct."""
    moment = moments()
    tasks = {row["task"] for row in moment.table("threads") if row["pid"]}
    objects = moment.table("slabs task_struct", 1)
    found = {row["address"] for row in objects}
    assert tasks <= found and len(found - tasks) < 20  # some have just ended
    names = {row["address"]: row["is_"] for row in objects}
    for pid in moment.users():
        task = int(moment.gdb(f"output/x $lab_task({pid})"), 16)
        name = moment.status(pid)["Name"]
        if name.isalnum():
            assert names[task] == f"{name}, pid {pid}"
    spaces = {row["address"] for row in moment.table("slabs mm_struct", 1)}
    for pid in moment.users():
        mm = int(moment.gdb(f"output/x $lab_task({pid})->mm"), 16)
        assert not mm or mm in spaces


def test_slabs_refuses(moments: Moments) -> None:
    moment = moments()
    said = moment.refused("lab slabs kmalloc")
    assert "There is no cache kmalloc" in said and "There are " in said
    assert "`lab slabs` lists them" in moment.refused("lab slabs nothing-like-it")


# --- Names and lists ------------------------------------------------------------------


def test_symbols_are_those_of_kallsyms(moments: Moments) -> None:
    """Both ways, for some of each kind; a name may stand for several."""
    moment = moments()
    lines = moment.snapshot["/proc/kallsyms"].decode().splitlines()
    places: dict[str, list[int]] = {}
    for line in lines:
        address, _, name = line.split()[:3]
        places.setdefault(name, []).append(int(address, 16))
    text_start, end = places["_text"][0], places["_end"][0]
    plain = [name for name in sorted(places) if re.fullmatch(r"[A-Za-z_]\w*", name)]
    several = [name for name in plain if len(places[name]) > 1][:5]
    assert len(plain) > 10_000 and several
    for name in (*plain[:: len(plain) // 20], *several, "__x64_sys_segment_info"):
        rows = moment.table(f"symbol {name}")
        assert sorted(row["start"] for row in rows) == sorted(places[name]), name
        for row in rows:
            if text_start <= row["start"] < end:
                around = moment.table(f"symbol {row['start']:#x}")
                assert name in {other["name"] for other in around}
                assert {other["offset"] for other in around} == {0}


def test_symbol_refuses(moments: Moments) -> None:
    moment = moments()
    assert "has a symbol no_such_name" in moment.refused("lab symbol no_such_name")
    assert "is in no symbol" in moment.refused("lab symbol 0xffff888000000000")
    assert "is in no symbol" in moment.refused("lab symbol 5")


def test_a_list_both_ways(moments: Moments) -> None:
    moment = moments()
    entries, ways = moment.lab("listhead &init_task.tasks 'struct task_struct' tasks")
    expected = [row["task"] for row in moment.table("ps")]
    assert [row["entry"] for row in entries["rows"]] == expected
    assert [row["holds"] for row in ways["rows"]] == [True, True]
    assert {row["entries"] for row in ways["rows"]} == {len(expected)}


def test_a_torn_list(moments: Moments) -> None:
    moment = moments()
    line = "listhead &init_task.tasks 'struct task_struct' tasks"
    whole = moment.table(line)
    third = whole[2]["link"]
    with damage.changed(moment, f"((struct list_head *){third:#x})->prev", damage.WILD):
        entries, ways = moment.lab(line)
        assert "is torn" in entries["broken"]
        assert [row["number"] for row in entries["rows"]] == [1, 2]
        assert "cannot read" in ways["rows"][1]["holds"]
    with damage.changed(moment, f"((struct list_head *){third:#x})->next", third):
        entries, ways = moment.lab(line)
        assert "is a cycle" in entries["broken"] or "is torn" in entries["broken"]


def test_listhead_refuses(moments: Moments) -> None:
    moment = moments()
    refused = moment.refused
    assert "has no member no_such" in refused(
        "lab listhead &init_task.tasks 'struct task_struct' no_such"
    )
    assert "is no struct list_head" in refused(
        "lab listhead &init_task.tasks 'struct task_struct' pid"
    )
    assert "nothing" in refused("lab listhead &init_task.tasks 'struct nothing' tasks")


# --- Damage ---------------------------------------------------------------------------

ZONE = "contig_page_data.node_zones[1]"
DAMAGED = (
    ("zones", f"{ZONE}.name"),
    ("zones", "contig_page_data.per_cpu_nodestats"),
    ("zones", f"{ZONE}.PAGESET"),
    ("buddy", f"{ZONE}.free_area[0].free_list[1].next"),
    ("buddy", f"{ZONE}.free_area[3].free_list[0].next"),
    ("buddy", f"{ZONE}.free_area[2].nr_free"),
    ("meminfo", "vm_committed_as.counters"),
    ("meminfo", "hugetlb_max_hstate"),
    ("vmalloc", "vmap_area_list.next"),
    ("slabs", "slab_caches.next"),
    ("slabs", "TASKS->name"),
    ("slabs", "TASKS->node[0]"),
    ("slabs", "TASKS->node[0]->partial.next"),
    ("slabs task_struct", "TASKS->cpu_slab"),
    ("slabs task_struct", "TASKS->node[0]"),
    ("slabs task_struct", "TASKS->node[0]->partial.next"),
    ("slabs task_struct", "TASKS->offset"),
    ("count", "init_task.tasks.next"),
    ("listhead &slab_caches 'struct kmem_cache' list", "slab_caches.next"),
    ("symbol 0xffffffffc0000000", "modules.next"),
    ("modules", "modules.next"),
    ("irqs", "irq_desc_tree.xa_head"),
    ("irqs", "nr_irqs"),
    ("irqs", "jiffies_64"),
    ("kmalloc", "kmalloc_caches[0][5]"),
    ("kmalloc 20", "kmalloc_caches[0][5]"),
    ("fit 131072", f"{ZONE}.free_area[5].free_list[0].next"),
    ("fit 4096", f"{ZONE}.name"),
    ("dmesg", "prb"),
    ("dmesg", "prb->desc_ring.count_bits"),
    ("dmesg", "prb->desc_ring.descs"),
    ("dmesg", "prb->desc_ring.infos"),
    ("dmesg", "prb->desc_ring.tail_id.counter"),
    ("dmesg", "prb->text_data_ring.data"),
)


@pytest.mark.once
@pytest.mark.parametrize(("command", "place"), DAMAGED)
def test_damage_is_told_in_a_sentence(
    moments: Moments, command: str, place: str
) -> None:
    """Whatever a pointer or count is: no traceback, no mistake of the lab's, no long wait."""
    moment = moments()
    is_older = re.search(r"\*pageset;", moment.gdb("ptype struct zone"))
    place = place.replace("PAGESET", "pageset" if is_older else "per_cpu_pageset")
    cache = next(row for row in moment.table("slabs") if row["name"] == "task_struct")
    place = place.replace("TASKS", f"((struct kmem_cache *){cache['address']:#x})")
    whole = moment.gdb(f"lab {command}") if not command.startswith("symbol") else ""
    for name, value in damage.VALUES.items():
        with damage.changed(moment, place, value):
            start = time.monotonic()
            output, error = moment.try_gdb(f"lab {command}")
            took = time.monotonic() - start
        told = output + error
        assert (
            told and "mistake of the lab" not in told and "Traceback" not in told
        ), name
        assert took < 10, f"{name}: {took:.1f} s"
    if whole:
        again = moment.gdb(f"lab {command}")
        assert again == whole


# --- The census -------------------------------------------------------------------------

KPF = {"slab": 7, "buddy": 10, "anon": 12, "huge": 17, "nopage": 20, "pgtable": 26}
KPF |= {"reserved": 32}  # include/uapi/linux/kernel-page-flags.h, kernel-page-flags.h


def kpageflags(moment: Moment, *names: str) -> set[int]:
    """The frames with all of these flags."""
    data = moment.snapshot["/proc/kpageflags"]
    mask = sum(1 << KPF[name] for name in names)
    words = enumerate(struct.unpack(f"<{len(data) // 8}Q", data))
    return {pfn for pfn, word in words if word & mask == mask}


def census(moment: Moment) -> dict[str, set[int]]:
    """The frames of each kind of owner, as the lab finds them."""
    file = moment.folder / "owners"
    code = (
        "from lab.linux import census; found = census.census(); "
        f"assert not found.troubles, found.troubles; found.owner.tofile({str(file)!r}); "
        "print(sorted(census.NAMES.items()))"
    )
    names = dict(ast.literal_eval(moment.gdb(f"python {code}")))
    found: dict[str, set[int]] = {name: set() for name in names.values()}
    for pfn, kind in enumerate(file.read_bytes()):
        if kind:
            found[names[kind]].add(pfn)
    return found


def test_census_is_kpageflags(moments: Moments) -> None:
    """Frame by frame, for each kind of owner that the kernel has a flag for."""
    moment = moments()
    found = census(moment)
    ram = set().union(*found.values())
    reserved = kpageflags(moment, "reserved") & ram
    assert found["kernel image"] | found["reserved"] == reserved
    assert found["free"] == kpageflags(moment, "buddy")
    assert found["slab"] == kpageflags(moment, "slab") - reserved
    assert found["anonymous"] == kpageflags(moment, "anon") - reserved
    # Of page tables the kernel marks those of user space; others it got at boot
    left = kpageflags(moment, "pgtable") - reserved - found["page table"]
    assert {
        name: frames & left for name, frames in found.items() if frames & left
    } == {}
    huge = kpageflags(moment, "huge") - reserved
    assert huge <= found["free, in the pool of huge pages"] | found["page cache"] | (
        found["anonymous"]
    )
    assert all(len(found[name]) > 20 for name in ("slab", "page table", "kernel stack"))


def test_census_has_all_of_ram(moments: Moments) -> None:
    """Each frame has one owner: the sums are those of the zones, of slabinfo and meminfo."""
    moment = moments()
    owners, sums, drawing, details = moment.lab("frames")
    assert owners["broken"] == ""
    assert [row["agrees"] for row in sums["rows"]] == [True] * 3, sums
    frames = {row["owner"]: row["frames"] for row in owners["rows"]}
    zones = [zone for zone in zoneinfo(moment).values() if zone["present"]]
    assert sum(frames.values()) == sum(zone["present"] for zone in zones)
    reserved = frames["kernel image"] + frames["reserved"]
    managed = sum(zone["managed"] for zone in zones)
    assert sum(frames.values()) - reserved == managed
    caches = {
        row["whose"]: row["frames"] for row in details["rows"] if row["owner"] == "slab"
    }
    for row in moment.table("slabs"):
        assert caches.get(row["name"], 0) * PAGE == row["memory"], row["name"]
    meminfo = {row["line"]: row["value"] for row in moment.table("meminfo")}
    stacks = frames["kernel stack"] * PAGE >> 10
    assert abs(stacks - meminfo["KernelStack"]) <= 64  # some wait to be used again
    cells = drawing["data"]["cells"]
    assert len(cells) * drawing["data"]["frames_per_cell"] >= sum(frames.values())
    assert {"K", ".", "S", "F"} <= set(cells)


def test_census_tells_whose_they_are(moments: Moments) -> None:
    """Of a process alone on its memory: as many frames as /proc says it has."""
    moment = moments()
    details = moment.table("frames", 2)
    found = {(row["owner"], row["whose"]): row["frames"] for row in details}
    pid = moment.pid("static")
    name = moment.status(pid)["Name"]
    lines = re.findall(r"^Anonymous: +(\d+) kB$", moment.proc(pid, "smaps"), re.M)
    assert found["anonymous", f"{name} {pid}"] == sum(map(int, lines)) // 4 > 0
    assert found["kernel stack", f"{name} {pid}"] == 4
    tables = int(moment.status(pid)["VmPTE"].split()[0]) // 4
    # VmPTE does not count the top table
    assert found["page table", f"{name} {pid}"] == tables + 1


CENSUS_DAMAGED = (
    "iomem_resource.child",
    "contig_page_data.node_zones[1].free_area[3].free_list[1].next",
    "slab_caches.next",
    "init_task.tasks.next",
    "vmap_area_list.next",
    "modules.next",
    "max_pfn",
)


@pytest.mark.once
@pytest.mark.parametrize("place", CENSUS_DAMAGED)
def test_a_census_of_damaged_memory(moments: Moments, place: str) -> None:
    moment = moments()
    whole = moment.gdb("lab frames")
    for name, value in damage.VALUES.items():
        with damage.changed(moment, place, value):
            start = time.monotonic()
            output, error = moment.try_gdb("lab frames")
            took = time.monotonic() - start
        told = output + error
        assert (
            told and "mistake of the lab" not in told and "Traceback" not in told
        ), f"{name}: {told}"
        assert took < 10, f"{name}: {took:.1f} s"
    assert moment.gdb("lab frames") == whole
