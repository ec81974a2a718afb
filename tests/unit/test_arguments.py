# SPDX-License-Identifier: GPL-2.0-only
"""The arguments of all commands, good and bad, from the line that a person types.

A command parses, calls `describe()` of its report, and shows the result. Here `describe()`
is replaced by a function that notes its arguments, and the module gdb by a stand-in.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Iterator

import gdb_stand_in
import pytest

import made_up
from lab import result
from lab.commands import arguments
from lab.linux.task import per_cpu_place
from lab.target import debugger, fits, structs
from lab.target.files_debugger import FilesDebugger
from lab.target.memory import START_KERNEL_MAP

ROOT = Path(__file__).resolve().parents[2]
FREE, KERNEL_THREAD = 0x7000_0000_0000, 0x0020_0000
PLAIN = ("current", "ps", "threads", "kernel", "zones", "vmalloc", "meminfo", "count")
PLAIN += ("frames", "irqs")
OF_TASK = ("task", "files", "kstack", "regs")
OF_MM = ("mm", "vmas", "list", "rb", "maple")
OTHERS = ("tree", "ustack", "map", "elf", "vma", "walk", "phys", "read", "dump")
OTHERS += ("buddy", "slabs", "translate", "symbol", "listhead", "what")
OTHERS += ("fit", "kmalloc", "modules", "dmesg", "random")
REPLAY = ("blame", "goto", "timeline")
REPORTS = (*PLAIN, *OF_TASK, *OF_MM, *OTHERS, *REPLAY)


@dataclass
class Bench:
    """A stopped guest with four tasks, and the commands to try on it."""

    gdb: Any
    tasks: dict[int, int]  # struct task_struct * by pid; the current one is 61
    mms: dict[int, int]
    pgd: dict[int, int]  # physical
    called: list[tuple[Any, ...]]  # the arguments of each call of describe()

    def refusal(self, line: str) -> str:
        """Return the error of a line, which must not call or write anything."""
        with pytest.raises(self.gdb.GdbError) as caught:
            self.gdb.type(line)
        assert self.called == [] and self.gdb.written() == ""
        return str(caught.value)


@pytest.fixture(scope="module")
def gdb() -> Iterator[Any]:
    with gdb_stand_in.loaded() as stand_in:
        yield stand_in


@pytest.fixture
def bench(gdb: Any, old: made_up.Guest, monkeypatch: Any) -> Bench:
    tasks, mms, pgds = tasks_of(old)
    current = old.room(64)
    old.write(current, made_up.WORD.pack(tasks[61]))
    base = current - per_cpu_place("current_task")
    registers = {"cs": 0x10, "gs_base": base, "k_gs_base": 0}
    vmlinux = debugger.debugger().vmlinux
    debugger.use(FilesDebugger(vmlinux, old.layout, old.image, (registers,)))
    monkeypatch.setattr(fits, "check_running", lambda: True)
    called: list[tuple[Any, ...]] = []

    def describe(*given: Any) -> result.Report:
        called.append(given)
        return result.Sentence("It is described.")

    for name in REPORTS:
        report = getattr(command(gdb, name), "report", None)
        if report is not None:
            monkeypatch.setattr(report, "describe", describe)
    gdb.written()
    gdb.executed.clear()
    return Bench(gdb, tasks, mms, pgds, called)


def command(gdb: Any, name: str) -> Any:
    """Return the names of the module that defines a command, as attributes."""
    function = type(gdb.commands[f"lab {name}"]).do
    run = getattr(type(gdb.commands[f"lab {name}"]), "run", function)
    scope = function.__globals__ if name in ("goto", "timeline") else run.__globals__
    return SimpleNamespace(**scope)


def tasks_of(guest: made_up.Guest) -> tuple[dict[int, int], ...]:
    """Make swapper/0; init; kthreadd, a kernel thread; sh; and a zombie."""
    tasks, mms, pgds = {}, {}, {}
    kinds = (
        (0, b"swapper/0", KERNEL_THREAD, 0),
        (1, b"init", 0, 0),
        (2, b"kthreadd", KERNEL_THREAD, 0),
        (61, b"sh", 0, 0),
        (62, b"gone", 0x4, 32),
    )
    for pid, comm, flags, exit_state in kinds:
        mm = 0
        if pid in (1, 61):
            pgds[pid] = guest.table()
            pgd = made_up.PAGE_OFFSET + pgds[pid]
            mm = mms[pid] = guest.put("struct mm_struct", {"pgd": pgd})
        signal = guest.put("struct signal_struct")
        members = {
            **{"pid": pid, "tgid": pid, "comm": comm, "flags": flags, "mm": mm},
            **{"exit_state": exit_state, "signal": signal},
        }
        where = guest.layout.address_of("init_task") if pid == 0 else None
        tasks[pid] = guest.put("struct task_struct", members, where)
        for list_of in ("children", "sibling"):
            guest.link(tasks[pid] + structs.offsetof("struct task_struct", list_of))
        guest.link(
            signal + structs.offsetof("struct signal_struct", "thread_head"),
            tasks[pid] + structs.offsetof("struct task_struct", "thread_node"),
        )
    links = structs.offsetof("struct task_struct", "tasks")
    guest.link(*(address + links for address in tasks.values()))
    return tasks, mms, pgds


# --- Valid arguments ------------------------------------------------------------


def test_every_command_is_tried_here(gdb: Any) -> None:
    names = {name for name in gdb.commands if name.startswith("lab ")}
    assert names == {f"lab {name}" for name in (*REPORTS, "trace")}


@pytest.mark.parametrize("name", PLAIN)
def test_no_argument(bench: Bench, name: str) -> None:
    bench.gdb.type(f"lab {name}")
    assert bench.called == [()] and bench.gdb.written() == "It is described.\n"


@pytest.mark.parametrize("pid", ["", "0", "1", "61", "0x3d", "62"])
@pytest.mark.parametrize("name", OF_TASK)
def test_a_task(bench: Bench, name: str, pid: str) -> None:
    bench.gdb.type(f"lab {name} {pid}")
    assert bench.called == [(bench.tasks[int(pid or "61", 0)],)]


@pytest.mark.parametrize("pid", ["", "1", "61"])
@pytest.mark.parametrize("name", OF_MM)
def test_an_address_space(bench: Bench, name: str, pid: str) -> None:
    bench.gdb.type(f"lab {name} {pid}")
    assert bench.called == [(bench.mms[int(pid or 61)],)]


@pytest.mark.parametrize("name", ["ps", "task", "vmas"])
@pytest.mark.parametrize("line", ["--json", " --json "])
def test_json(bench: Bench, name: str, line: str) -> None:
    bench.gdb.type(f"lab {name} {line}")
    written = json.loads(bench.gdb.written())
    assert written["text"] == "It is described." and len(bench.called) == 1


@pytest.mark.parametrize(
    "line", ["--json 0x401000 1", "0x401000 --json 1", "0x401000 1 --json"]
)
def test_json_may_stand_anywhere(bench: Bench, line: str) -> None:
    bench.gdb.type(f"lab vma {line}")
    assert bench.called == [(bench.mms[1], 0x401000)]
    assert json.loads(bench.gdb.written())["schema"] == "seginfo-sentence"


@pytest.mark.parametrize(
    ("line", "pid"), [("tree", None), ("tree 1", 1), ("tree 0", 0)]
)
def test_tree(bench: Bench, line: str, pid: int | None) -> None:
    bench.gdb.type(f"lab {line}")
    assert bench.called == [(0 if pid is None else bench.tasks[pid],)]


def test_map(bench: Bench) -> None:
    bench.gdb.type("lab map 1")
    assert bench.called == [(bench.tasks[1], bench.mms[1])]


@pytest.mark.parametrize("pid", ["", "1"])
def test_random(bench: Bench, pid: str) -> None:
    bench.gdb.type(f"lab random {pid}")
    number = int(pid or 61)
    assert bench.called == [((bench.tasks[number], bench.mms[number]),)]


def test_random_where_a_kernel_thread_runs(bench: Bench, old: made_up.Guest) -> None:
    """Of the kernel there is something to show, and of a process why not."""
    current = debugger.debugger().register("gs_base") + per_cpu_place("current_task")
    old.write(current, made_up.WORD.pack(bench.tasks[2]))
    bench.gdb.type("lab random")
    why = "Task 2 (kthreadd) is a kernel thread: it has no address space of its own."
    assert bench.called == [(why,)]


@pytest.mark.parametrize(
    ("line", "pid", "file"),
    [
        ("", 61, ""),
        ("1", 1, ""),
        ("1 build/user/demo", 1, "build/user/demo"),
        ("1 '/a b/c'", 1, "/a b/c"),
    ],
)
def test_a_task_and_a_file(bench: Bench, line: str, pid: int, file: str) -> None:
    bench.gdb.type(f"lab ustack {line}")
    bench.gdb.type(f"lab elf {line}")
    assert bench.called == [(bench.tasks[pid], file), (bench.mms[pid], file)]


@pytest.mark.parametrize("text", ["0x401000", "4198400", "0b10000000001000000000000"])
def test_a_user_address(bench: Bench, text: str) -> None:
    bench.gdb.type(f"lab vma {text}")
    assert bench.called == [(bench.mms[61], 0x401000)]


def test_walk_of_user_memory(bench: Bench) -> None:
    bench.gdb.type("lab walk 0x401000 1")
    assert bench.called == [
        (0x401000, bench.pgd[1], "the memory of 1 (init)", bench.mms[1])
    ]


@pytest.mark.parametrize("pid", ["", "1", "2"])
def test_walk_of_the_kernels_memory(bench: Bench, pid: str) -> None:
    """The task does not matter."""
    bench.gdb.type(f"lab walk linux_banner {pid}")
    ((address, pgd, whose, mm),) = bench.called
    assert address == structs.address_of("linux_banner")
    assert pgd == structs.address_of("init_top_pgt") - START_KERNEL_MAP
    assert (whose, mm) == ("the kernel's memory", 0)


@pytest.mark.parametrize(
    ("line", "address"),
    [("", None), ("0x100000", 0x100000), ("0", 0), ("-1", (1 << 64) - 1)],
)
def test_phys(bench: Bench, line: str, address: int | None) -> None:
    bench.gdb.type(f"lab phys {line}")
    assert bench.called == [(address,)]


@pytest.mark.parametrize("length", [1, 64, 1 << 20])
def test_read(bench: Bench, length: int) -> None:
    bench.gdb.type(f"lab read 0x401000 {length} 1")
    assert bench.called == [(bench.pgd[1], "the memory of 1 (init)", 0x401000, length)]


@pytest.mark.parametrize(
    ("address", "length"), [(0x7FFF_FFFF_FFFF, 1), ((1 << 64) - 16, 16)]
)
def test_read_up_to_the_last_byte_of_a_half(
    bench: Bench, address: int, length: int
) -> None:
    bench.gdb.type(f"lab read {address:#x} {length}")
    assert bench.called[0][2:] == (address, length)


@pytest.mark.parametrize(
    ("line", "given"),
    [
        ("buddy", ("", None)),
        ("buddy DMA", ("DMA", None)),
        ("buddy DMA 0", ("DMA", 0)),
        ("buddy Normal 10", ("Normal", 10)),
        ("slabs", ("",)),
        ("slabs kmalloc-64", ("kmalloc-64",)),
        ("fit 131072", (128 << 10,)),
        ("kmalloc", (None,)),
        ("kmalloc 20", (20,)),
        ("modules", ("",)),
        ("modules lab_pages", ("lab_pages",)),
        ("dmesg warn", ("warn",)),
        ("translate 0x1000", (0x1000, "")),
        ("translate 16 pfn", (16, "pfn")),
        ("symbol linux_banner", ("linux_banner",)),
        ("symbol asm_exc_page_fault.cold", ("asm_exc_page_fault.cold",)),
        ("symbol 0xffffffff81000000", (0xFFFF_FFFF_8100_0000,)),
        (
            "listhead 0x1000 'struct module' list",
            (0x1000, "struct module", "list"),
        ),
    ],
)
def test_what_there_is_in_ram(
    bench: Bench, line: str, given: tuple[object, ...]
) -> None:
    bench.gdb.type(f"lab {line}")
    assert bench.called == [given]


def test_whose_address_is_asked_for(bench: Bench) -> None:
    """One of user space is the current task's or PID's, one of the kernel nobody's."""
    for line, given in (
        ("what 0x401000", (0x40_1000, bench.tasks[61], bench.mms[61])),
        ("what 0x401000 1", (0x40_1000, bench.tasks[1], bench.mms[1])),
        ("what 0xffffffff81000000", (0xFFFF_FFFF_8100_0000, None, None)),
        ("what 0xffffffff81000000 1", (0xFFFF_FFFF_8100_0000, None, None)),
    ):
        bench.gdb.type(f"lab {line}")
        assert bench.called.pop() == given


def test_no_such_kind_of_value(bench: Bench) -> None:
    assert bench.refusal("lab translate 1 frame") == (
        "frame is no kind of value: give one of virt, phys, pfn, page."
    )


def test_functions(bench: Bench) -> None:
    functions = bench.gdb.functions
    found = functions["lab_task"].invoke(bench.gdb.Value(1))
    assert (found, found.type) == (bench.tasks[1], "struct task_struct *")
    found = functions["lab_mm"].invoke()
    assert (found, found.type) == (bench.mms[61], "struct mm_struct *")
    found = functions["lab_vma"].invoke(bench.gdb.Value(FREE))
    assert (found, found.type) == (0, "struct vm_area_struct *")


# --- Invalid arguments ----------------------------------------------------------

USAGE = {
    **dict.fromkeys(PLAIN, ""),
    **dict.fromkeys((*OF_TASK, *OF_MM, "tree", "map", "random"), "[PID]"),
    **dict.fromkeys(("ustack", "elf"), "[PID] [FILE]"),
    **dict.fromkeys(("vma", "walk", "what"), "ADDRESS [PID]"),
    "phys": "[ADDRESS]",
    "buddy": "[ZONE] [ORDER]",
    "slabs": "[CACHE]",
    "fit": "BYTES",
    "kmalloc": "[SIZE]",
    "modules": "[NAME]",
    "dmesg": "[LEVEL]",
    "translate": "VALUE [KIND]",
    "symbol": "NAME or ADDRESS",
    "listhead": "ADDRESS TYPE MEMBER",
    "read": "ADDRESS LENGTH [PID]",
    "dump": "FILE",
}


@pytest.mark.parametrize("name", sorted(USAGE))
@pytest.mark.parametrize("extra", ["1 2 3 4", "1 2 3 4 --json", "--jsno 1 2 3"])
def test_too_many(bench: Bench, name: str, extra: str) -> None:
    usage = f"lab {name} {USAGE[name]}".strip()
    expected = f"Usage: {usage} [--json]; see `help lab {name}`."
    assert bench.refusal(f"lab {name} {extra}") == expected


@pytest.mark.parametrize(
    "line",
    [
        *("vma", "walk", "read", "read 0x401000", "dump", "translate", "symbol"),
        *("listhead", "listhead 1", "listhead 1 list_head", "what", "fit"),
    ],
)
def test_too_few(bench: Bench, line: str) -> None:
    name = line.split()[0]
    assert bench.refusal(f"lab {line}").startswith(f"Usage: lab {name} {USAGE[name]} ")


@pytest.mark.parametrize(
    "name", [*OF_TASK, *OF_MM, "tree", "map", "ustack", "elf", "random"]
)
@pytest.mark.parametrize(
    ("pid", "says"),
    [
        ("99", "There is no task 99; `lab threads` lists all there are."),
        ("-1", f"There is no task {(1 << 64) - 1}; `lab threads` lists all there are."),
        ("sh", "sh is no PID: "),
        ("--jsno", "--jsno is no PID: "),
    ],
)
def test_no_such_task(bench: Bench, name: str, pid: str, says: str) -> None:
    assert bench.refusal(f"lab {name} {pid}").startswith(says)


@pytest.mark.parametrize("name", [*OF_MM, "map", "elf", "random"])
@pytest.mark.parametrize(
    ("pid", "why"),
    [
        ("0", "Task 0 (swapper/0) is a kernel thread"),
        ("2", "Task 2 (kthreadd) is a kernel thread"),
        ("62", "Task 62 (gone) has ended"),
    ],
)
def test_no_address_space(bench: Bench, name: str, pid: str, why: str) -> None:
    says = bench.refusal(f"lab {name} {pid}")
    assert says == f"{why}: it has no address space of its own."


@pytest.mark.parametrize(
    "line", ["vma 0x401000", "walk 0x401000", "read 0x401000 1", "what 0x401000"]
)
def test_an_address_needs_an_address_space(bench: Bench, line: str) -> None:
    assert "is a kernel thread: it has no address space" in bench.refusal(
        f"lab {line} 2"
    )


@pytest.mark.parametrize("line", ["vma {}", "walk {}", "read {} 1", "blame {}"])
def test_not_canonical(bench: Bench, line: str, monkeypatch: Any) -> None:
    replayed(bench, monkeypatch)
    for address in (0x8000_0000_0000, 0xFFFF_7FFF_FFFF_FFFF):
        assert bench.refusal("lab " + line.format(hex(address))) == (
            f"{address:#x} is not canonical: with 4-level paging bits 47 to 63 of an "
            "address are all the same."
        )


@pytest.mark.parametrize("name", ["vma", "walk", "phys", "what"])
def test_no_address(bench: Bench, name: str) -> None:
    assert bench.refusal(f"lab {name} nonsense").startswith("nonsense is no address: ")


def test_a_kernel_address_has_no_area(bench: Bench) -> None:
    assert bench.refusal("lab vma linux_banner").endswith(
        "is in the kernel's half, where there are no areas; `lab kernel` shows what is "
        "there, `lab walk` how it is mapped."
    )


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("0x401000 0", "LENGTH is 0: give 1 to 1048576 bytes (1 MiB)."),
        ("0x401000 0x100001", "LENGTH is 1048577: give 1 to 1048576 bytes (1 MiB)."),
        ("0x401000 -1", f"LENGTH is {(1 << 64) - 1}: give 1 to 1048576 bytes (1 MiB)."),
        ("0x401000 much", "much is no length: "),
        ("0x7fffffffffff 2", "0x800000000000 is not canonical: "),
        ("0xffffffffffffffff 2", "2 bytes from 0xffffffffffffffff reach over the end"),
    ],
)
def test_lengths(bench: Bench, line: str, says: str) -> None:
    assert bench.refusal(f"lab read {line}").startswith(says)


def test_dump_takes_a_file(bench: Bench, tmp_path: Path) -> None:
    says = bench.refusal(f"lab dump {tmp_path}")
    assert says == f"{tmp_path} is a folder: give the name of a file in it."
    says = bench.refusal("lab dump /dev/null")
    assert says.startswith(
        "/dev/null is a device or a pipe, which a core cannot replace"
    )


def test_no_such_command(bench: Bench) -> None:
    says = "There is no lab nonsense; `help lab` lists what there is."
    assert bench.refusal("lab nonsense 1") == says


def test_the_kernel_does_not_run_yet(bench: Bench, monkeypatch: Any) -> None:
    monkeypatch.setattr(fits, "check_running", lambda: False)
    says = "The kernel does not run yet: continue to a breakpoint in it first."
    assert bench.refusal("lab ps") == bench.refusal("lab vma nonsense") == says


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("lab_task", (1, 2), "Usage: $lab_task([PID])."),
        ("lab_mm", (2,), "Task 2 (kthreadd) is a kernel thread: it has no"),
        ("lab_task", (99,), "There is no task 99; `lab threads` lists all there are."),
        ("lab_vma", (), "Usage: $lab_vma(ADDRESS[, PID])."),
        ("lab_vma", (1 << 63,), "0x8000000000000000 is not canonical: "),
        ("lab_vma", (-4096,), "0xfffffffffffff000 is in the kernel's half"),
        ("lab_symbol", (), 'Usage: $lab_symbol("NAME").'),
    ],
)
def test_wrong_arguments_of_functions(
    bench: Bench, name: str, given: tuple[int, ...], says: str
) -> None:
    with pytest.raises(bench.gdb.GdbError) as caught:
        bench.gdb.functions[name].invoke(*map(bench.gdb.Value, given))
    assert str(caught.value).startswith(says)


# --- lab trace ------------------------------------------------------------------


@pytest.fixture
def traced(bench: Bench, monkeypatch: Any) -> list[tuple[Any, ...]]:
    """Stop `lab trace` before it runs, and note its timeline, the processes, the limit."""
    found: list[tuple[Any, ...]] = []

    def tracer(kind: Any, follow: Any, limit: int, show: Any) -> None:
        name = getattr(kind, "name", "syscall")
        found.append((name, str(follow), limit))
        raise debugger.Refused("Enough.")

    scope = type(bench.gdb.commands["lab trace"]).do.__globals__
    monkeypatch.setitem(scope, "Tracer", tracer)
    return found


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("mmap", ("mmap", "process 61 (sh) and what it starts", 1000)),
        ("exec 1", ("exec", "process 1 (init) and what it starts", 1000)),
        ("fault all", ("fault", "every process", 1000)),
        ("fork /bin/demo", ("fork", "/bin/demo and what it starts", 1000)),
        ("exit demo --limit 7", ("exit", "demo and what it starts", 7)),
        ("--limit 7 exit demo", ("exit", "demo and what it starts", 7)),
        ("mmap --json 0x1", ("mmap", "process 1 (init) and what it starts", 1000)),
        ("syscall openat,write all", ("syscall", "every process", 1000)),
        ("syscall ,openat, demo", ("syscall", "demo and what it starts", 1000)),
    ],
)
def test_trace(bench: Bench, traced: Any, line: str, expected: Any) -> None:
    assert bench.refusal(f"lab trace {line}") == "Enough."
    assert traced == [expected]


KNOWN = "exec, mmap, fault, fork, exit, pages, module, irq, slab, syscall"
NUMBER = "--limit takes a number of events, such as --limit 100."
NAMES = "lab trace syscall takes names, such as openat,write, or all."


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("", f"lab trace takes what to follow: {KNOWN}."),
        ("--json", f"lab trace takes what to follow: {KNOWN}."),
        ("nonsense", f"There is no lab trace nonsense; there are {KNOWN}."),
        ("mmap --limit", NUMBER),
        ("mmap --limit 0", NUMBER),
        ("mmap --limit -1", NUMBER),
        ("mmap --limit many", NUMBER),
        ("syscall", NAMES),
        ("syscall ,", NAMES),
        ("mmap 1 2", "lab trace takes one PROGRAM or PID; see `help lab trace`."),
        ("mmap -1", "-1 is no PROGRAM or PID: see `help lab trace`."),
        ("mmap ''", "An empty word is no PROGRAM or PID: see `help lab trace`."),
        ("mmap 99", "There is no task 99; `lab threads` lists all there are."),
        ("mmap 2", "Task 2 (kthreadd) is a kernel thread: give another PID."),
        ("mmap 62", "Task 62 (gone) has ended: give another PID."),
        ("mmap 1x", "1x is no PID: "),
    ],
)
def test_trace_refuses(bench: Bench, traced: Any, line: str, says: str) -> None:
    assert bench.refusal(f"lab trace {line}").startswith(says) and traced == []


def test_trace_before_there_is_a_process(
    bench: Bench, traced: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(fits, "check_running", lambda: False)
    assert bench.refusal("lab trace mmap") == "Enough."
    assert bench.refusal("lab trace mmap 1") == (
        "There is no process yet: give the name of a program, or continue first."
    )
    assert traced == [("mmap", "the lab's program and what it starts", 1000)]


# --- The replay ------------------------------------------------------------------


def replayed(bench: Bench, monkeypatch: Any) -> list[int]:
    """Make a replay with two moments, and note where it goes."""
    travelled: list[int] = []
    moment = {"time": None, "tgid": 61, "pid": 61, "comm": "sh", "kind": "exec"}
    moments = [
        SimpleNamespace(count=count, what=f"/bin/{count}", **moment)
        for count in (100, 2000)
    ]
    replay = SimpleNamespace(moments=moments, now=100, travel=travelled.append)
    session = command(bench.gdb, "goto").session
    monkeypatch.setattr(session, "this", lambda: replay)
    return travelled


@pytest.mark.parametrize(
    ("line", "count", "says"),
    [
        ("0", 100, "Moment 0, exec: sh 61: /bin/100\n"),
        ("1", 2000, "Moment 1, exec: sh 61: /bin/2000\n"),
        ("#1234", 1234, ""),
    ],
)
def test_goto(bench: Bench, monkeypatch: Any, line: str, count: int, says: str) -> None:
    travelled = replayed(bench, monkeypatch)
    bench.gdb.type(f"lab goto {line}")
    assert travelled == [count] and bench.gdb.written() == says
    assert bench.gdb.executed == ["frame"]


THERE_ARE = "there are moments 0 to 1; see lab timeline."


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("goto", "Usage: lab goto N [--json]; see `help lab goto`."),
        ("goto 1 2", "Usage: lab goto N [--json]; see `help lab goto`."),
        ("goto 2", f"There is no moment 2: {THERE_ARE}"),
        ("goto x", f"lab goto takes the number of a moment, or #COUNT: {THERE_ARE}"),
        ("goto -1", f"lab goto takes the number of a moment, or #COUNT: {THERE_ARE}"),
        ("goto '#'", f"lab goto takes the number of a moment, or #COUNT: {THERE_ARE}"),
        ("goto '#x'", f"lab goto takes the number of a moment, or #COUNT: {THERE_ARE}"),
        ("timeline 1", "Usage: lab timeline [--json]; see `help lab timeline`."),
        ("blame", "Usage: lab blame ADDR [--json]; see `help lab blame`."),
        ("blame 1 2", "Usage: lab blame ADDR [--json]; see `help lab blame`."),
        ("blame x", "x is no address: "),
    ],
)
def test_replay_refuses(bench: Bench, monkeypatch: Any, line: str, says: str) -> None:
    travelled = replayed(bench, monkeypatch)
    assert bench.refusal(f"lab {line}").startswith(says) and travelled == []


@pytest.mark.parametrize("line", ["blame 0x401000", "goto 1", "timeline"])
def test_no_replay(bench: Bench, line: str, monkeypatch: Any) -> None:
    monkeypatch.delenv("LAB_MOMENTS", raising=False)
    says = "This is no replay: type make record in a shell, then make replay."
    assert bench.refusal(f"lab {line}") == says


def test_blame_and_timeline(bench: Bench, monkeypatch: Any) -> None:
    replayed(bench, monkeypatch)
    bench.gdb.type("lab blame 0x401000")
    bench.gdb.type("lab timeline --json")
    (address,), (replay,) = bench.called
    assert address == 0x401000 and replay.now == 100
    text, _, written = bench.gdb.written().partition("\n")
    assert text == "It is described." and json.loads(written)["text"] == text


# --- seginfo, layout lab ---------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("nonsense", "There is no seginfo nonsense; see `help seginfo`."),
        ("show", "seginfo show takes the number of a hit; there are 0 hits so far."),
        ("show x", "seginfo show takes the number of a hit; there are 0 hits so far."),
        ("show 1", "There is no hit 1; there are 0 hits so far."),
        ("json", "seginfo json takes the name of the file to write."),
        *(
            (f"{name} 1", f"seginfo {name} takes no argument; see `help seginfo`.")
            for name in "arm disarm stop run brief full version".split()
        ),
    ],
)
def test_seginfo_refuses(bench: Bench, line: str, says: str) -> None:
    assert bench.refusal(f"seginfo {line}") == says


def test_seginfo_switches(bench: Bench) -> None:
    scope = type(bench.gdb.commands["seginfo run"]).do.__globals__
    check, reporter = scope["check"], scope["reporter"]
    for line, stops, brief in (
        ("run", False, False),
        ("brief", False, True),
        ("stop", True, True),
        ("full", True, False),
    ):
        bench.gdb.type(f"seginfo {line}")
        assert (check.stop_at_hit, reporter.brief) == (stops, brief)


def test_a_gdb_without_a_tui(bench: Bench) -> None:
    assert bench.refusal("layout lab").startswith(
        "layout lab: this gdb was built without its text user interface (TUI): "
    )


# --- The functions they use ------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "names", "taken"),
    [
        ([], (), []),
        ([], ("[A]",), [""]),
        (["1"], ("A",), ["1"]),
        (["1"], ("A", "[B]"), ["1", ""]),
        (["1", "2"], ("A", "[B]"), ["1", "2"]),
        ([], ("[A]", "[B]"), ["", ""]),
    ],
)
def test_take(given: list[str], names: tuple[str, ...], taken: list[str]) -> None:
    assert arguments.take("lab x", given, names) == taken


def test_expressions(old: made_up.Guest) -> None:
    assert arguments.number("0x10", "address") == 16
    assert arguments.number("-1", "address") == (1 << 64) - 1
    assert arguments.number("init_task", "address") == structs.address_of("init_task")
