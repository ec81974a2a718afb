# SPDX-License-Identifier: GPL-2.0-only
"""The modules of kernel/modules: what they print is what the lab shows.

lab_pages and lab fit, lab_slab and lab kmalloc, lab_tasks and lab threads, lab_segments and
lab kernel, lab_contexts and lab current; lab modules and /sys/module; lab dmesg and what was
printed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile

from support import labs
from support.traces import ARMED

PAGE = 4096
LOADED = ("lab_tasks", "lab_segments", "lab_slab", "lab_pages")
LEVELS = ("emerg", "alert", "crit", "err", "warn", "notice", "info", "debug")
MARK = "=== mark ==="
WORD = 1 << 64


# %p has its key some time after there are random numbers
HASHES = (
    "head -c 1 /dev/random >/dev/null",
    "until insmod /lib/modules/lab_slab.ko most=1 objects=1; rmmod lab_slab; "
    "dmesg | tail -n 1 | grep -q 'by %p 0'; do usleep 200000; done",
)


@dataclass
class Stops:
    """What was answered at each stop, and what the guest has printed until then."""

    stops: list[dict[str, Any]]
    console: str

    def lines(self, module: str) -> list[str]:
        """The lines that a module has printed."""
        return re.findall(rf"{module}: (.*)$", self.console, re.M)

    @property
    def end(self) -> list[Any]:
        """The answers at the demo's first call."""
        return self.stops[-1]["answers"]


def run(
    folder: Path, asked: dict[str, list[str]], *lines: str, **machine: str
) -> Stops:
    """Run a script with these lines and then the demo, and ask where modules stop."""
    port = labs.free_port()
    lines = (*lines, f"echo '{MARK}'; dmesg -r; echo '{MARK}'", "exec demo >/dev/null")
    machine["PROGRAM"] = str(labs.script(folder / "program", *lines))
    stops = labs.inside("in_modules.py", port, folder, asked, ARMED, **machine)
    assert labs.leaks(port) == []
    return Stops(stops, labs.console_log(port))


@pytest.fixture(scope="module")
def loaded(kernel: Path, tmp_path_factory: pytest.TempPathFactory) -> Stops:
    """All modules that only look, one loaded after the other, and what the kernel tells."""
    tell = [
        f"echo '{MARK}'; cat /proc/modules; echo '{MARK}'",
        "for file in /sys/module/lab_*/parameters/* /sys/module/lab_*/sections/.[a-z_]* "
        "/sys/module/lab_*/sections/__*; do",
        '[ ! -f "$file" ] || echo "$file $(cat $file)"; done',
        f"echo '{MARK}'; grep '\\[lab_' /proc/kallsyms; echo '{MARK}'",
    ]
    tell += [f"cat /proc/interrupts; echo '{MARK}'; cat /proc/softirqs; echo '{MARK}'"]
    tell += [f"cat /proc/timer_list; echo '{MARK}'"]
    asked = ["lab kmalloc --json", "lab slabs lab_object --json", "lab threads --json"]
    asked += ["lab kernel --json", "lab modules --json", "lab dmesg --json"]
    asked += [f"lab modules {name} --json" for name in LOADED]
    for name, size in data_of(kernel, "lab_slab"):
        for inside in (0, size - 1, size):
            asked.append(f"lab what '$lab_symbol(\"{name}\")+{inside}' --json")
    asked.append("lab irqs --json")
    return run(
        tmp_path_factory.mktemp("loaded"),
        {"END": asked},
        "echo 0 >/proc/sys/kernel/kptr_restrict",
        *HASHES,
        *(f"insmod /lib/modules/{name}.ko" for name in LOADED),
        "sleep 1000 &",
        *tell,
    )


def data_of(kernel: Path, module: str) -> list[tuple[str, int]]:
    """The variables of a module that the kernel keeps, with their sizes in bytes."""
    with open(kernel / "modules" / f"{module}.ko", "rb") as stream:
        file = ELFFile(stream)
        return [
            (symbol.name, symbol["st_size"])
            for symbol in file.get_section_by_name(".symtab").iter_symbols()
            if symbol["st_info"]["type"] == "STT_OBJECT"
            and file.get_section(symbol["st_shndx"]).name in (".data", ".bss")
        ]


def test_what_is_a_module_s_data(loaded: Stops, kernel: Path) -> None:
    """From its first byte to its last, and no further."""
    data = data_of(kernel, "lab_slab")
    assert len(data) > 3
    answers = iter(loaded.end[6 + len(LOADED) :])
    for name, size in data:
        for inside in (0, size - 1, size):
            _, table = next(answers)
            kinds = {row["is_"]: row for row in table["rows"]}
            assert "module" in kinds, (name, inside)
            what = kinds.get("symbol", {"what": ""})["what"]
            assert (what == f"{name} [lab_slab]") == (inside < size), (name, inside)
            if inside < size:
                assert kinds["symbol"]["part"] == f"+{inside:#x}"
                assert re.search(
                    r"\.(data|bss)\S* of lab_slab", kinds["section"]["what"]
                )


def told(loaded: Stops, number: int) -> list[str]:
    """What the script has printed between two marks."""
    return loaded.console.split(MARK)[number].strip().splitlines()


def test_kmalloc_gives_what_ksize_says(loaded: Stops) -> None:
    """For every size from 1 to 8192."""
    _, _, table = loaded.end[0]
    printed = [
        tuple(map(int, re.findall(r"\d+", line)))
        for line in loaded.lines("lab_slab")
        if " bytes: " in line and line != "1 to 1 bytes: 8"
    ]
    rows = [row for row in table["rows"] if row["least"] <= 8192]
    found = [(row["least"], row["most"], row["given"]) for row in rows]
    assert found == printed and len(found) > 10
    assert (rows[0]["least"], rows[-1]["most"]) == (1, 8192)
    for row in rows:
        assert row["most_wasted"] == row["given"] - row["least"]


def test_objects_of_a_cache_of_ours(loaded: Stops, kernel: Path) -> None:
    """Which are in use and which are free, as the module says."""
    objects = re.findall(
        r"object \d+ at (0x\w+), by %p \S+: (\w+)$", loaded.console, re.M
    )[-20:]
    kept = {int(place, 16) for place, what in objects if what == "kept"}
    freed = {int(place, 16) for place, what in objects if what == "freed"}
    assert len(kept) == 13 and len(freed) == 7
    _, drawing, slabs, *_ = loaded.end[1]
    assert sum(row["used"] for row in slabs["rows"]) == 13
    free = {
        slab["start"] + 64 * number
        for slab in drawing["data"]
        for number in slab["free"]
    }
    assert freed <= free and not kept & free


def test_threads_are_those_that_a_module_walks(loaded: Stops) -> None:
    (table,) = [part for part in loaded.end[2] if isinstance(part, dict)]
    now = {row["task"]: row for row in table["rows"]}
    lines = [line for line in loaded.lines("lab_tasks") if line.startswith("task ")]
    walked = [
        re.fullmatch(
            r"task (\w+) tgid (\d+) pid (\d+) flags (\w+) mm (\w+) comm (.*)", line
        )
        for line in lines
    ]
    last = loaded.lines("lab_tasks")[-1]
    assert last == f"{len({one[2] for one in walked})} processes, {len(walked)} threads"
    same = 0
    for one in walked:
        row = now.get(int(one[1], 16))
        if row is None or row["pid"] != int(one[3]):
            continue  # it has ended since, as insmod has
        assert row["tgid"] == int(one[2])
        if row["comm"].strip("[]").split("/")[0] == one[6].split("/")[0]:
            same += 1
    assert same > 20


def test_regions_are_those_that_a_module_prints(loaded: Stops) -> None:
    regions = {row["name"]: row for row in loaded.end[3][1]["rows"]}
    for line in loaded.lines("lab_segments"):
        found = re.fullmatch(r"(0x\w+)-(0x\w+) (.*)", line)
        if found and found[3] in regions:
            assert int(found[1], 16) == regions[found[3]]["start"], line
            assert int(found[2], 16) <= regions[found[3]]["end"] + 1, line
    printed = " ".join(loaded.lines("lab_segments"))
    for name in ("direct map", "vmalloc", "vmemmap", "kernel image", "modules"):
        assert name in regions and f" {name}" in printed


def test_modules_are_those_of_proc_modules(loaded: Stops) -> None:
    """Every word of each line."""
    _, table = loaded.end[4]
    lines = [line.split() for line in told(loaded, 1)]
    found = [
        [
            row["name"],
            str(row["size"]),
            str(row["refcount"]),
            row["used_by"] or "-",
            row["state"],
            f"0x{row['base']:016x}",
            *([f"({row['taints']})"] if row["taints"] else []),
        ]
        for row in table["rows"]
    ]
    assert found == lines and [line[0] for line in lines] == [*LOADED[::-1]]


def tables(report: list[Any]) -> dict[str, list[dict[str, Any]]]:
    """The tables of a report by title."""
    return {part["title"]: part["rows"] for part in report if isinstance(part, dict)}


def test_a_module_is_what_sys_module_says(loaded: Stops) -> None:
    """Parameters, sections, and the symbols of /proc/kallsyms."""
    files = dict(line.split(" ", 1) for line in told(loaded, 2))
    symbols: dict[str, set[tuple[str, int]]] = {}
    for line in told(loaded, 3):
        address, _, name, module = line.split()
        symbols.setdefault(module.strip("[]"), set()).add((name, int(address, 16)))
    checked = 0
    for name, report in zip(LOADED, loaded.end[6:]):
        found = tables(report)
        for row in found.get("parameters", []):
            assert files[f"/sys/module/{name}/parameters/{row['name']}"] == row["value"]
            checked += 1
        for row in found["sections"]:
            file = f"/sys/module/{name}/sections/{row['section']}"
            if file in files:
                assert int(files[file], 16) == row["start"], file
                checked += 1
        own = {(row["symbol"], row["address"]) for row in found["symbols"]}
        assert symbols[name] <= own, symbols[name] - own
        assert len(found["pieces" if "pieces" in found else "memory"]) > 0
    assert checked > 25
    types = {row["name"]: row["type"] for row in tables(loaded.end[9])["parameters"]}
    assert types == {"bytes": "array of ulong", "keep": "uint"}


def shown(escape: re.Match[str]) -> str:
    """The character that an escape stands for."""
    return {"t": "\t"}.get(escape[1], escape[1])


def test_dmesg_is_what_was_printed(loaded: Stops) -> None:
    """Line for line, with its level and time."""
    _, table, *_ = loaded.end[5]
    printed = [
        re.fullmatch(r"<(\d+)>\[ *(\d+\.\d{6})\] (.*)", line).groups()
        for line in told(loaded, 8)
    ]
    found = [
        (str(LEVELS.index(row["level"])), row["time"].strip(), line)
        for row in table["rows"]
        for line in re.sub(r"\\([\\t])", shown, row["text"]).split("\\n")
    ]
    # The kernel may have gone on: "random: crng init done" comes when it will
    assert found[: len(printed)] == printed and len(printed) > 100
    hashed = re.findall(r" at 0x(\w+), by %p 0{8}(\w{8}): ", loaded.console)
    pointers = loaded.end[5][2]
    turned_back = {row["hashed"]: row["pointer"] for row in pointers["rows"]}
    assert len(hashed) >= 20
    for pointer, hash_ in hashed[-20:]:
        assert turned_back[int(hash_, 16)] == int(pointer, 16)
    callers = {row["caller"] for row in table["rows"]}
    assert callers and all(re.fullmatch(r"[TC]\d+", caller) for caller in callers)


def counts(text: str) -> list[int]:
    """The numbers of a column by_cpu."""
    return [int(word) for word in text.split()]


def test_interrupts_are_those_of_proc_interrupts(loaded: Stops) -> None:
    """Every line; what it counted may have gone on, but never back."""
    _, table, *_ = loaded.end[-1]
    lines = [line.split() for line in told(loaded, 4)]
    cpus = len(lines.pop(0))
    assert [row["irq"] for row in table["rows"]] == [w[0].strip(":") for w in lines]
    for row, words in zip(table["rows"], lines):
        now = counts(row["by_cpu"])
        before = [int(word) for word in words[1 : 1 + len(now)]]
        assert len(now) in (cpus, 1) and row["total"] == sum(now)
        assert all(a <= b <= a + 5000 for a, b in zip(before, now)), (row, words)
        if row["chip"]:
            hwirq = "" if row["hwirq"] is None else str(row["hwirq"])
            source = hwirq + (f"-{row['flow']}" if row["flow"] else "")
            names = re.sub(r" \([^)]*\)", "", row["handlers"])
            assert words[1 + cpus :] == f"{row['chip']} {source} {names}".split()
        else:
            assert row["handlers"] == " ".join(words[1 + len(now) :])
    assert any("ttyS0 (" in row["handlers"] for row in table["rows"])


def test_softirqs_are_those_of_proc_softirqs(loaded: Stops) -> None:
    _, _, table, _ = loaded.end[-1]
    lines = [line.split() for line in told(loaded, 5)[1:]]
    assert [row["softirq"] for row in table["rows"]] == [w[0].strip(":") for w in lines]
    for row, words in zip(table["rows"], lines):
        before, now = list(map(int, words[1 : 1 + len(counts(row["by_cpu"]))])), counts(
            row["by_cpu"]
        )
        assert all(a <= b <= a + 5000 for a, b in zip(before, now)), (row, words)
    actions = {row["softirq"]: row["action"] for row in table["rows"]}
    assert actions["TIMER"] == "run_timer_softirq" and actions["RCU"] == "rcu_core_si"


def test_timers_are_those_of_timer_list(loaded: Stops) -> None:
    """The functions of high-resolution timers, by CPU; those of the wheel have one, too."""
    *_, table = loaded.end[-1]
    now = {
        (row["cpu"], row["function"]) for row in table["rows"] if row["kind"] != "wheel"
    }
    before, cpu = set(), 0
    for line in told(loaded, 6):
        found = re.match(r"cpu: (\d+)", line)
        cpu = int(found[1]) if found else cpu
        timer = re.match(r" #\d+: <[^>]*>, (\w+),", line)
        if timer:
            before.add((cpu, timer[1]))
    assert {name for _, name in now & before} >= {"hrtimer_wakeup"}
    wheel = [row for row in table["rows"] if row["kind"] == "wheel"]
    assert len(wheel) > 3
    assert all(re.match(r"[a-z_]\w+( \[\w+\])?$", row["function"]) for row in wheel)
    assert all(-2 <= row["in_jiffies"] < 1 << 31 for row in wheel)


# --- The page allocator -----------------------------------------------------------------


@pytest.fixture(scope="module")
def pages(kernel: Path, tmp_path_factory: pytest.TempPathFactory) -> Stops:
    """lab_pages, asked before and after each request."""
    asked = {
        "lab_pages_asks": ["lab fit $rdi --json", "lab buddy --json"],
        "lab_pages_got": ["lab buddy --json", "lab translate $rdi page --json"],
    }
    return run(
        tmp_path_factory.mktemp("pages"), asked, "insmod /lib/modules/lab_pages.ko"
    )


def free_blocks(report: list[Any]) -> dict[tuple[str, int], int]:
    """How many free blocks each zone has of each order, without those of order 0.

    Those come and go with every interrupt.
    """
    rows = next(part for part in report[1:] if part.get("title") == "free blocks")[
        "rows"
    ]
    return {(row["zone"], row["order"]): row["blocks"] for row in rows}


def test_fit_foretells_the_block_and_the_splits(pages: Stops) -> None:
    asks = [stop for stop in pages.stops if stop["function"] == "lab_pages_asks"]
    got = [stop for stop in pages.stops if stop["function"] == "lab_pages_got"]
    assert [stop["arguments"][0] for stop in asks] == [
        *(131072, 135168, 4 << 20, (4 << 20) + 1)
    ]
    assert [stop["arguments"][1] for stop in asks] == [5, 6, 10, 11]
    assert len(got) == 3
    for ask, answer in zip(asks, got):
        size, order = ask["arguments"][:2]
        fit, before = ask["answers"]
        after, frame = answer["answers"]
        assert f"so a block of order {order}: " in fit[0]
        (parts,) = [
            p for p in fit if isinstance(p, dict) and "rows" in p and p["title"] == ""
        ]
        given, *back = parts["rows"]
        pfn = next(
            row["value"]
            for row in frame[1]["rows"]
            if row["what"] == "page frame number"
        )
        assert (given["part"], given["order"], given["pfn"]) == ("given", order, pfn)
        expected = free_blocks(before)
        zone = re.search(r"of zone (\w+)", fit[2])[1]
        whole = order + len(back)
        expected[zone, whole] -= 1
        for row in back:
            expected[zone, row["order"]] += 1
        found = free_blocks(after)
        changed = {key for key in found if found[key] != expected[key] and key[1] > 3}
        assert not changed, (fit, before, after)
    assert asks[3]["answers"][0].startswith("error: No block has 4,194,305 bytes")
    assert "no block of order 11" in pages.console


def test_fit_foretells_every_block_until_none_is_left(
    kernel: Path, tmp_path: Path
) -> None:
    """Order by order: of CPUs, split, lent by other types, by both marks; and then none."""
    sizes = [
        PAGE << order for order in (5, 3, 1, 0, 4, 2, 6, 10, 9, 8, 7, 5, 3, 1, 0, 4)
    ]
    insmod = f"insmod lab_pages.ko keep=25 bytes={','.join(map(str, sizes))}"
    asked = {"lab_pages_asks": ["lab fit $rdi --json"]}
    done = run(tmp_path, asked, "cd /lib/modules", insmod, SMP="1", MEM="128M")
    asks = [stop["answers"][0] for stop in done.stops[:-1]]
    told = [line for line in done.lines("lab_pages") if line.startswith(("pfn", "no "))]
    assert len(asks) == len(told) > 100
    for number, (fit, line) in enumerate(zip(asks, told)):
        got = re.match(r"pfn (0x\w+)", line)
        parts = [
            part for part in fit[1:] if isinstance(part, dict) and not part["title"]
        ]
        given = parts[0]["rows"][0]["pfn"] if parts else None
        assert given == (int(got[1], 16) if got else None), (number, fit, line)
    text = str(asks)
    for word in (
        "keeps for itself",
        "would split",
        "from the list Movable",
        "`min` is",
    ):
        assert word in text, word
    assert "no block of order 10" in told and len(set(told)) > 100


def test_fit_tells_the_waste(pages: Stops) -> None:
    asks = [stop for stop in pages.stops if stop["function"] == "lab_pages_asks"]
    first, second = (stop["answers"][0] for stop in asks[:2])
    assert first[0].endswith("32 pages, 128 KiB; it wastes nothing.")
    assert second[0].endswith("64 pages, 256 KiB; it wastes 124 KiB.")
    assert second[1] == "alloc_pages_exact() would give 31 pages back, 124 KiB."
    assert "135168 bytes exactly" in pages.console and ": 33 pages" in pages.console
    wasted = re.findall(r"order (\d+), (\d+) bytes wasted", pages.console)
    assert wasted == [("5", "0"), ("6", str(124 << 10)), ("10", "0")]


def test_translate_is_what_the_module_prints(pages: Stops) -> None:
    """page_to_pfn(), page_address() and virt_to_phys() of each block."""
    got = [stop for stop in pages.stops if stop["function"] == "lab_pages_got"]
    printed = re.findall(
        r"page (0x\w+), virt (0x\w+), phys (0x\w+)$", pages.console, re.M
    )
    assert len(printed) == len(got) == 3
    for stop, words in zip(got, printed):
        found = {row["what"]: row["value"] for row in stop["answers"][1][1]["rows"]}
        expected = [int(word, 16) for word in words]
        names = ("struct page", "direct map", "physical address")
        assert [found[name] for name in names] == expected


# --- Contexts ---------------------------------------------------------------------------

PLACES = ["process", "preemption off", "bottom halves off", "interrupts off"]
PLACES += ["spinlock held", "timer", "tasklet", "workqueue", "irq_work"]
PLACES += ["high-resolution timer", "call on each CPU", "call on each CPU"]
PLACES += ["kernel thread", "hard interrupt handler", "threaded interrupt handler"]


@pytest.fixture(scope="module")
def contexts(kernel: Path, tmp_path_factory: pytest.TempPathFactory) -> Stops:
    """lab_contexts, asked in each context."""
    asked = ["python print(gdb.selected_thread().num)", "lab current --json"]
    return run(
        tmp_path_factory.mktemp("contexts"),
        {"lab_contexts_here": [*asked, "output (char *)$rdi"]},
        "insmod /lib/modules/lab_contexts.ko",
    )


def test_current_tells_every_context_as_the_kernel_does(contexts: Stops) -> None:
    here = [stop for stop in contexts.stops if stop["function"] == "lab_contexts_here"]
    printed: dict[tuple[str, int], list[str]] = {}
    lines = [line for line in contexts.lines("lab_contexts") if "in_task" in line]
    assert sorted(line.split(":")[0] for line in lines) == sorted(PLACES)
    for line in lines:
        cpu = int(re.search(r" cpu (\d+) ", line)[1])
        printed.setdefault((line.split(":")[0], cpu), []).append(line)
    assert len(here) == len(PLACES)
    for stop in here:
        thread, (processors, counts, answers), name = stop["answers"]
        row = next(r for r in processors["rows"] if r["thread"] == int(thread))
        place = re.search(r'"([^"]*)"', name)[1]
        (line,) = printed[place, row["cpu"]]
        facts = dict(re.findall(r"(\w+) (\d+)(?= |$)", line.split(": ", 1)[1]))
        own = next(r for r in answers["rows"] if r["cpu"] == row["cpu"])
        for question in ("in_task", "in_interrupt", "in_softirq", "in_atomic"):
            assert own[question].startswith(("no", "yes")[int(facts[question])]), line
        assert own["in_hardirq"].startswith(("no", "yes")[int(facts["in_hardirq"])])
        assert own["irqs_disabled"].startswith(
            ("no", "yes")[int(facts["irqs_disabled"])]
        ), line
        value = int(re.search(r"preempt_count (\w+)", line)[1], 16)
        count = next(r for r in counts["rows"] if r["cpu"] == row["cpu"])
        assert count["preempt_count"] & 0x7FFF_FFFF == value, line
        assert row["pid"] == int(facts["pid"]), line


@pytest.mark.parametrize(
    "function, condition, error",
    [
        ("kthread_create_on_node", '$rdi == $lab_symbol("thread_function")', 12),
        ("request_threaded_irq", '$rsi == $lab_symbol("hard_handler")', 16),
    ],
)
def test_lab_contexts_leaves_nothing_behind(
    kernel: Path, port: int, tmp_path: Path, function: str, condition: str, error: int
) -> None:
    """Where a function fails in its init, all that it began is over before it is gone.

    insmod tries again with init_module() what finit_module() did not load.
    """
    program = labs.script(
        tmp_path / "program",
        "insmod /lib/modules/lab_contexts.ko && echo loaded",
        "usleep 100000",
        "rmmod lab_contexts && echo unloaded",
        "echo begun $(dmesg | grep -c 'lab_contexts: process: in_task')",
        "echo ended $(dmesg | grep -c 'lab_contexts: threaded interrupt handler: in_')",
    )
    labs.debug(
        port,
        *ARMED,
        "thbreak do_init_module",
        "continue",
        f"thbreak *{function} if {condition}",
        "continue",
        f"set $rax = -{error}",
        "set $rip = *(unsigned long *)$rsp",
        "set $rsp = $rsp + 8",
        "continue",
        PROGRAM=program,
    )
    console = labs.console_log(port)
    expected = "loaded\nunloaded\nbegun 2\nended 1\nlab: /lab/program exited with 0"
    assert expected in console and "BUG" not in console, console
