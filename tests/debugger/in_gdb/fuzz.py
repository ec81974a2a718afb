# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb, at a hit: damage the kernel's memory at random and run all commands on it.

    python GIVEN = {"seed": N, "seconds": N, "most": commands, "result": FILE}
    source tests/debugger/in_gdb/fuzz.py

One object or global variable at a time is damaged in the RAM file, and then restored. What
goes wrong in between is written to FILE as JSON: findings, with what was damaged, and how
many objects were damaged, commands run and refusals printed.
"""

import json
import mmap
import random
import re
import signal
import struct
import sys
import time
from collections import Counter
from typing import Callable, Iterator, NamedTuple

import gdb

sys.path.insert(0, "tests")
from lab.check import payload
from lab.commands import explore
from lab.commands.functions import FUNCTIONS
from lab.linux import processors, task, vma
from lab.target import kernel, structs
from lab.target.debugger import Missing, Refused
from lab.target.memory import Broken, Fault
from lab.window import picture
from support.reports import parts  # noqa: E402

LIMIT = 5  # seconds of CPU time for a command; it takes a fraction of one
GROWTH = 500  # MiB of gdb's memory
AT_ONCE = 16  # commands for each damage
PAGE = 4096
U64 = (1 << 64) - 1
SEEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
COUNTED = ("ps", "threads", "tree", "vmas", "list", "rb", "files")
MOVES = ("dump", "trace", "timeline", "goto", "blame")  # need more than memory
OF_A_TASK = ("signal", "sighand", "cred", "nsproxy", "thread_pid", "fs", "files")
GLOBALS = {
    **{"__per_cpu_offset": 64, "modules": 16, "page_offset_base": 8, "phys_base": 8},
    **{"vmalloc_base": 8, "vmemmap_base": 8, "max_pfn": 8, "high_memory": 8},
    **{"__cpu_online_mask": 8, "__cpu_possible_mask": 8, "nr_cpu_ids": 4},
    **{"init_top_pgt": PAGE, "level2_kernel_pgt": PAGE, "memblock": 128},
    **{"swap_info": 64, "jiffies_64": 8, "saved_command_line": 8, "nr_swapfiles": 4},
    **{"init_pid_ns": 128, "vmap_area_list": 16},
}
OF_A_CPU = ("current_task", "cpu_number", "__preempt_count", "cpu_tss_rw", "runqueues")

GIVEN = globals()["GIVEN"]
guest = kernel.memory()
source = random.Random(GIVEN["seed"])


class Hang(BaseException):
    """A command does not end."""


class Target(NamedTuple):
    """An object in memory that can be damaged."""

    kind: str
    address: int
    size: int
    type: str  # its type in C, "" if it is just bytes
    pid: int  # of the process that it belongs to; 0 for the kernel


def on_alarm(*_: object) -> None:
    raise Hang


# --- What can be damaged -----------------------------------------------------------


def member(type_name: str, path: str, address: int) -> int:
    """Read a pointer that is a member of something."""
    return guest.u64(address + structs.offsetof(type_name, path))


def of(kind: str, address: int, pid: int, type_name: str = "") -> Iterator[Target]:
    """Return one structure as a target, nothing if there is none."""
    name = type_name or f"struct {kind}"
    if address:
        yield Target(kind, address, structs.sizeof(name), name, pid)


def of_file(file: int, pid: int) -> Iterator[Target]:
    """Yield a struct file and what it points to."""
    if not file:
        return
    yield from of("file", file, pid)
    entry = member("struct file", "f_path.dentry", file)
    for _ in range(6):
        yield from of("dentry", entry, pid)
        yield Target(
            "a name", member("struct dentry", "d_name.name", entry), 16, "", pid
        )
        entry = member("struct dentry", "d_parent", entry)
    inode = member("struct file", "f_inode", file)
    yield from of("inode", inode, pid)
    yield from of("super_block", member("struct inode", "i_sb", inode), pid)
    mount = member("struct file", "f_path.mnt", file)
    yield from of("mount", mount - structs.offsetof("struct mount", "mnt"), pid)


def of_task(address: int, pid: int) -> Iterator[Target]:
    """Yield a task, its stack and its files."""
    name = "struct task_struct"
    yield from of("task_struct", address, pid)
    for path in OF_A_TASK:
        kind = {"thread_pid": "pid", "fs": "fs_struct", "files": "files_struct"}
        kind |= {field: f"{field}_struct" for field in ("signal", "sighand")}
        yield from of(kind.get(path, path), member(name, path, address), pid)
    stack = member(name, "stack", address)
    for page in range(4 * bool(stack)):
        yield Target("a kernel stack", stack + PAGE * page, PAGE, "", pid)
    files = member(name, "files", address)
    if files:
        table = member("struct files_struct", "fdt", files)
        yield from of("fdtable", table, pid)
        array = member("struct fdtable", "fd", table)
        yield Target("an array of files", array, 64 * 8, "", pid)
        for number in range(16):
            yield from of_file(guest.u64(array + 8 * number), pid)


def of_mm(mm: int, pid: int) -> Iterator[Target]:
    """Yield an address space: its areas and page tables."""
    yield from of("mm_struct", mm, pid)
    for area, read in vma.for_each_vma(mm):
        yield from of("vm_area_struct", area, pid)
        yield from of_file(read.vm_file, pid)
    yield from of_tables(member("struct mm_struct", "pgd", mm), 4, pid)


def of_tables(table: int, level: int, pid: int) -> Iterator[Target]:
    """Yield a page table, those below it, and some pages."""
    yield Target(f"a page table of level {level}", table, PAGE, "", pid)
    entries = struct.unpack("<512Q", guest.read(table, PAGE))
    present = [
        entry & 0xF_FFFF_FFFF_F000
        for entry in entries
        if entry & 1 and not entry & 0x80
    ]
    if level == 1:
        for place in source.sample(present, min(2, len(present))):
            yield Target("a page", guest.page_offset + place, PAGE, "", pid)
        return
    for place in present[: 256 if level == 4 else 512]:
        if guest.physical.blocks[-1].end > place:
            below = guest.page_offset + place
            if level > 2 or below < U64:
                yield from of_tables(below, level - 1, pid)


def of_kernel() -> Iterator[Target]:
    """Yield variables of the kernel, global and per CPU."""
    for name, size in GLOBALS.items():
        if structs.has_symbol(name):
            yield Target(name, structs.address_of(name), size, "", 0)
    yield from of("mm_struct", structs.address_of("init_mm"), 0)
    yield from of("resource", structs.address_of("iomem_resource"), 0)
    for start in filter(None, processors.per_cpu_offsets()):
        for name in filter(structs.has_symbol, OF_A_CPU):
            yield Target(name, start + structs.address_of(name), 128, "", 0)
        for page in range(32):
            yield Target("per-CPU memory", start + PAGE * page, PAGE, "", 0)


def all_targets(users: list) -> dict[str, list[Target]]:
    """Return all targets by kind; of user page tables only the user's half."""
    found: dict[str, list[Target]] = {}
    parts: list[Iterator[Target]] = [of_kernel()]
    parts += [
        of_task(address, task.task(address).pid)
        for address in task.for_each_process_thread()
    ]
    parts += [of_mm(user.mm, user.pid) for user in users]
    for part in parts:
        try:
            for target in part:
                if ram_offset(target) is not None:
                    found.setdefault(target.kind, []).append(target)
        except Fault:
            continue  # a user's table may lead to what is not RAM
    return found


def ram_offset(target: Target) -> int | None:
    """Return where in the RAM file a target is, None if it is not contiguous there."""
    try:
        buffer, place = guest.locate(target.address, target.size)
        if buffer is guest.physical.ram:
            return place
        if target.address // PAGE != (target.address + target.size - 1) // PAGE:
            return None
        where = guest.translate(guest.kernel_pgd, target.address)
        return guest.physical.locate(where, target.size)[1]
    except Fault:
        return None


# --- How it is damaged --------------------------------------------------------------


def fields(type_name: str) -> list[tuple[str, int, int]]:
    """Return name, offset and size of all members, including nested ones."""

    def inside(
        kind: gdb.Type, start: int, before: str
    ) -> Iterator[tuple[str, int, int]]:
        for field in kind.fields():
            if not hasattr(field, "bitpos"):
                continue
            inner, at = field.type.strip_typedefs(), start + field.bitpos // 8
            name = f"{before}{field.name or ''}"
            if inner.code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
                yield from inside(inner, at, f"{name}.")
            elif inner.sizeof:
                yield name, at, inner.sizeof

    return list(inside(gdb.lookup_type(type_name).strip_typedefs(), 0, ""))


def bad_word(old: int, target: Target, known: list[int]) -> int:
    """Return a wrong value: bad pointers, good ones that lead elsewhere, numbers."""
    end = max(block.end for block in guest.physical.blocks)
    choices: tuple[Callable[[], int], ...] = (
        lambda: source.choice((0, 1, 2, U64, 1 << 63, (1 << 63) - 1, 1 << 40, 1 << 62)),
        lambda: source.choice((0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x1B5B324A0A0D07FF)),
        lambda: source.choice((0x6B6B6B6B6B6B6B6B, 0xDEAD000000000100, 1 << 47)),
        lambda: target.address + source.choice((0, 8, -8)),
        lambda: old + source.choice((1, -1, 8, -8, PAGE)),
        lambda: old ^ 1 << source.randrange(64),
        lambda: source.choice((old | 0xFFF, old & ~1, old | 1, old | 3)),
        lambda: source.getrandbits(source.choice((32, 64))),
        lambda: 0x400000 + source.randrange(0x100000),
        lambda: guest.page_offset + end - source.choice((0, 1, 8, 64, PAGE)),
        lambda: guest.page_offset + source.randrange(end),
        lambda: source.choice(known),
        lambda: source.choice(known) + source.randrange(0, max(target.size, 8), 8),
        lambda: U64 - source.randrange(PAGE),
        lambda: 0xFFFF_FFFF_8100_0000 + source.randrange(0x800000),
    )
    return source.choice(choices)() & U64


class Damage:
    """A target that is damaged for the time of a with block."""

    def __init__(self, ram: mmap.mmap, target: Target, known: list[int]) -> None:
        self.ram, self.target, self.known = ram, target, known
        self.start = ram_offset(target) or 0
        self.what: list[str] = []  # what was changed

    def __enter__(self) -> "Damage":
        end = self.start + self.target.size
        self.before = self.ram[self.start : end]
        if source.random() < 0.06:
            fill = source.choice((b"\x6b", b"\xff", b"\0", b"\x1b"))
            self.ram[self.start : end] = fill * self.target.size
            self.what.append(f"filled with {fill.hex()}")
        else:
            for _ in range(source.choice((1, 1, 1, 1, 2, 3, 5))):
                self._change(*self._field())
        return self

    def _field(self) -> tuple[str, int, int]:
        """Choose what to change: name, offset and size."""
        size = self.target.size
        if self.target.type:
            name, at, size = source.choice(fields_of[self.target.type])
            return name, at, size if size in (1, 2, 4, 8) else min(size, 8)
        if size <= 8:
            return "", 0, size
        for _ in range(12):  # prefer something that is in use
            at = source.randrange(0, size - 7, 8)
            if any(self.before[at : at + 8]):
                break
        return f"{at:#x}", at, 8

    def _change(self, name: str, at: int, size: int) -> None:
        place = slice(self.start + at, self.start + at + size)
        old = int.from_bytes(self.ram[place], "little")
        new = bad_word(old, self.target, self.known) & (1 << 8 * size) - 1
        self.ram[place] = new.to_bytes(size, "little")
        self.what.append(f"{name} {old:#x} -> {new:#x}")

    def __exit__(self, *_: object) -> None:
        self.ram[self.start : self.start + self.target.size] = self.before
        kernel.refresh()


# --- The commands -------------------------------------------------------------------


def commands(target: Target, users: list) -> list[str]:
    """Return all commands, in both forms, on the process whose memory is damaged."""
    end = max(block.end for block in guest.physical.blocks)
    pid = target.pid or source.choice(users).pid
    address = source.choice(
        (
            "0x400000",
            "0x401000",
            "0x7ffffffff000",
            "$sp",
            hex(target.address),
            "0",
            "-1",
        )
        + ("0xffffffff81000000", "0xffff888000100000", "0xffffc90000000000")
    )
    frame = source.choice((source.randrange(end), target.address & 0xFFFFFFFF))
    arguments = {"ps": "", "threads": "", "tree": "", "current": "", "kernel": ""}
    arguments |= {"walk": f"{address} {pid}", "vma": f"0x401000 {pid}"}
    arguments |= {"phys": f"{frame:#x}", "read": f"{address} 64 {pid}"}
    found = []
    for command in explore.COMMANDS:
        if getattr(command, "name", "trace") in MOVES:
            continue
        words = f"lab {command.name} {arguments.get(command.name, pid)}"
        found += [words, f"{words} --json"]
    found += [f"output ${function.name}({pid})" for function in FUNCTIONS]
    return [*found, "seginfo", "walk", "live"]


def walk() -> None:
    """Do what the check does at a hit."""
    current = task.task(task.get_current())
    payload.walk(current, current.mm, 0x7FFD_0000_0000)


def live() -> None:
    """Do what the live view does at a stop."""
    picture.look(history)


def run(command: str) -> tuple[str, str]:
    """Run a command, and return its output and its error."""
    try:
        if command in ("walk", "live"):
            globals()[command]()
            return "", ""
        return gdb.execute(command, to_string=True) or "", ""
    except (Fault, Broken, Refused, Missing, gdb.GdbError, gdb.error) as problem:
        return "", str(problem)


def rows(report: str) -> tuple[int, bool]:
    """Return the number of rows in all tables of a report, and whether each is complete."""
    tables = [part for part in parts(report) if isinstance(part, dict)]
    counted = sum(len(part.get("rows", part.get("data", ()))) for part in tables)
    return counted, '"broken": "' not in report.replace('"broken": ""', "")


def faults(command: str, report: str, error: str, taken: float) -> Iterator[str]:
    """Return what is wrong with a report."""
    text = report + error
    if "Error occurred in Python" in text or "Traceback" in text:
        yield "an exception"
    if "mistake of the lab's" in text:
        yield "a mistake"
    if len(error.strip().splitlines()) > 1:
        yield "more than a sentence"
    if SEEN.search(text):
        yield "a byte that a terminal obeys"
    if taken > LIMIT:
        yield "slow"
    if command.endswith("--json") and report:
        try:
            number, whole = rows(report)
        except ValueError:
            yield "no JSON"
        else:
            if whole and number < right.get(command, 0):
                yield f"rows are lost: {number} instead of {right[command]}"


def memory_of_gdb() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * PAGE >> 20


def facts() -> tuple[int, ...]:
    """Read again what every read depends on, as at each stop."""
    return guest.page_offset, guest.phys_base, guest.kernel_pgd, guest.levels


def main() -> dict[str, object]:
    users = [
        process for process in map(task.task, task.for_each_process()) if process.mm
    ]
    targets = all_targets(users)
    kinds = sorted(targets) + ["task_struct", "mm_struct", "vm_area_struct", "file"] * 2
    known = [target.address for group in targets.values() for target in group]
    fields_of.update(
        {t.type: fields(t.type) for g in targets.values() for t in g if t.type}
    )
    for pid in [None, *(user.pid for user in users)]:
        for name in COUNTED[:3] if pid is None else COUNTED[3:]:
            command = f"lab {name} {pid or ''} --json"
            output, error = run(command)
            if not error:  # a list that this kernel lacks is refused
                right[command] = rows(output)[0]
    for command in commands(targets["mm_struct"][0], users):
        run(command)  # gdb reads symbols when they are first needed
    count: Counter[str] = Counter()
    findings, slowest, good = [], (0.0, ""), facts()
    first, start = memory_of_gdb(), time.monotonic()
    with open(guest.physical.path, "r+b") as file:
        ram = mmap.mmap(file.fileno(), 0)
    signal.signal(signal.SIGVTALRM, on_alarm)
    while (
        time.monotonic() - start < GIVEN["seconds"]
        and count["commands"] < GIVEN["most"]
    ):
        target = source.choice(targets[source.choice(kinds)])
        count["damages"] += 1

        def found(what: str, command: str, text: str) -> None:
            where = f"{target.kind} at {target.address:#x} of {target.pid}"
            findings.append([what, command, where, damage.what, text[-1500:]])

        with Damage(ram, target, known) as damage:
            for command in source.sample(commands(target, users), AT_ONCE):
                kernel.refresh()
                before, output, error = time.process_time(), "", ""
                signal.setitimer(signal.ITIMER_VIRTUAL, 2 * LIMIT)
                try:
                    output, error = run(command)
                except Hang:
                    found("a hang", command, "")
                except BaseException as problem:
                    found("an exception", command, repr(problem))
                finally:
                    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
                taken = time.process_time() - before
                count["commands"] += 1
                count["refusals"] += bool(error)
                slowest = max(slowest, (round(taken, 2), f"{command}: {damage.what}"))
                for what in faults(command, output, error, taken):
                    found(what, command, output + error)
                if memory_of_gdb() - first > GROWTH:
                    found("gdb has grown", command, f"by {memory_of_gdb() - first} MiB")
                    first = memory_of_gdb()
        if facts() != good:
            found("it stays wrong", "", str(facts()))
            guest.page_offset, guest.phys_base, guest.kernel_pgd, guest.levels = good
            kernel.refresh()
    return dict(count) | {
        "findings": findings,
        "slowest": slowest,
        "kinds": len(targets),
    }


fields_of: dict[str, list[tuple[str, int, int]]] = {}
right: dict[str, int] = {}  # rows of each command when nothing is damaged
history = picture.History()
result = main()
with open(GIVEN["result"], "w", encoding="utf-8") as file:
    json.dump(result, file)
