# SPDX-License-Identifier: GPL-2.0-only
"""lab current, kstack, regs and ustack wherever a processor may be: in user mode, entry
code, a system call, an exception, an interrupt, a softirq, an NMI, between two tasks."""

from __future__ import annotations

import errno
import re
from pathlib import Path
from typing import Any

import pytest

from support import labs

Reports = dict[str, Any]
NUMBERS = {"bx": 0x1111222233334444, "r12": 0x5555666677778888, "r15": 0x1234}


@pytest.fixture(scope="module")
def reports(kernel: Path, tmp_path_factory: pytest.TempPathFactory) -> Reports:
    """The result of tests/debugger/in_gdb/contexts.py, from one boot."""
    folder = tmp_path_factory.mktemp("contexts")
    sources = ("usermode.c", str(labs.ROOT / "user" / "lab.c"))
    program = folder / "usermode"
    flags = ["-O2", "-g", "-static", "-pthread", "-D_GNU_SOURCE"]
    flags += [f"-I{labs.ROOT}/kernel", f"-I{labs.ROOT}/user"]
    files = [labs.ROOT / "tests" / "guest" / "programs" / sources[0], sources[1]]
    done = labs.run("gcc", *flags, "-o", program, *files)
    assert done.returncode == 0, done.stderr
    port = labs.free_port()
    try:
        return labs.inside("contexts.py", port, folder, PROGRAM=program)
    finally:
        assert labs.leaks(port) == []


def processor(reports: Reports, place: str) -> dict[str, Any]:
    """Return the row of `lab current` for the processor that stopped."""
    found, here = reports[place]["current"][0]["rows"], reports[place]["kstack"][0]
    number = re.search(r"runs on CPU (\d+)", here)
    assert number, here
    return next(row for row in found if row["cpu"] == int(number.group(1)))


def frames(
    reports: Reports, place: str, command: str = "kstack"
) -> list[dict[str, Any]]:
    table = reports[place][command][1]
    assert table["broken"] == "", table
    return table["rows"]


def names(rows: list[dict[str, Any]]) -> list[str]:
    return [re.split(r"[+.]", row["symbol"])[0] for row in rows]


def test_the_stopped_call(reports: Reports) -> None:
    row = processor(reports, "segment_info")
    assert row["entry"] == "system call 451 segment_info" and row["syscall"] == 451
    assert (row["mode"], row["context"]) == ("kernel", "process")
    assert row["comm"] == "usermode"
    assert row["at"].startswith("__x64_sys_segment_info+")
    assert reports["selected"], "the commands left another thread selected"


def test_a_processor_in_user_mode(reports: Reports) -> None:
    row = processor(reports, "user mode")
    assert (row["cpu"], row["mode"], row["entry"]) == (1, "user", "user mode")
    assert (row["comm"], row["context"]) == ("spinning", "process")
    (frame,) = frames(reports, "user mode")
    assert frame["kind"] == "user" and frame["address"] == int(row["at"], 16)
    regs = {
        register["register"]: register
        for register in frames(reports, "user mode", "regs")
    }
    for name, value in NUMBERS.items():
        assert regs[name]["value"] == value
    assert regs["ip"]["value"] == frame["address"]
    assert regs["orig_ax"]["meaning"] == "in no system call"
    assert regs["gs_base"]["value"] == 0


def test_the_user_stack_from_live_or_saved_registers(reports: Reports) -> None:
    for place in ("user mode", "spinning"):
        found = names(frames(reports, place, "ustack"))
        assert found[:-1] == ["spin", "calls_spin", "spinning", "start_thread"]
        assert found[-1] in ("clone3", "__clone3")  # depends on the C library


def test_a_signal_handler(reports: Reports) -> None:
    rows = frames(reports, "in handler", "ustack")
    rests = names(rows).index("rests")  # inside what the C library's pause() needs
    assert rests > 0 and rows[0]["kind"] == "here"
    assert names(rows)[rests : rests + 5] == [
        *("rests", "handler", "__restore_rt", "spin", "calls_spin")
    ]
    assert [row["kind"] for row in rows[1 : rests + 5]] == [
        *["call"] * (rests + 2),
        *("interrupted", "call"),
    ]
    regs = {row["register"]: row for row in frames(reports, "in handler", "regs")}
    assert regs["orig_ax"]["meaning"] == "system call 34 pause"


def result(reports: Reports, place: str) -> str:
    """Return what lab regs says about the register of a call's result."""
    rows = frames(reports, place, "regs")
    return next(row["meaning"] for row in rows if row["register"] == "ax")


@pytest.mark.parametrize("place", ["segment_info", "__x64_sys_clock_gettime"])
def test_a_call_that_runs_has_no_result(reports: Reports, place: str) -> None:
    assert result(reports, place).startswith("no result yet: ")


def test_a_call_that_has_returned_has_one(reports: Reports) -> None:
    assert result(reports, "returns 7") == "the call's result: 7"
    assert result(reports, f"returns {-errno.ENOSYS}") == "the call's result: ENOSYS"


def test_a_task_that_never_ran(reports: Reports) -> None:
    rows = frames(reports, "new task")
    assert [row["kind"] for row in rows] == ["start", "user"]
    assert names(rows)[0] in ("ret_from_fork", "ret_from_fork_asm")
    assert re.search(
        r"does not run; system call \d+ v?(fork|clone)",
        reports["new task"]["kstack"][0],
    )
    # Nothing of its program is mapped yet: the file is found through the page cache.
    rows = frames(reports, "new task", "ustack")
    assert names(rows)[-1] == "_start" and "main" in names(rows)


def test_the_vdso(reports: Reports) -> None:
    rows = frames(reports, "__x64_sys_clock_gettime", "ustack")
    assert rows[0]["place"].startswith("[vdso]+")
    assert {"clock_gettime", "main"} <= set(names(rows))
    assert rows[-1]["symbol"].startswith("_start+")


@pytest.mark.parametrize("rbp", ["", " 0", " 1"], ids=["as it is", "even", "odd"])
def test_entry_code(reports: Reports, rbp: str) -> None:
    place = f"*entry_SYSCALL_64{rbp}"
    assert processor(reports, place)["entry"] == "entry code"
    assert [frame["kind"] for frame in frames(reports, place)] == ["running"]
    assert "unless entry code is still about to" in reports[place]["regs"][0]


def test_the_first_instruction_of_a_system_call(reports: Reports) -> None:
    """There is no frame yet: the debug info tells where the return address is."""
    rows = frames(reports, "do_syscall_64")
    assert [row["kind"] for row in rows] == ["running", "call", "user"]
    assert rows[1]["symbol"].startswith("entry_SYSCALL_64_after_hwframe+")
    row = processor(reports, "do_syscall_64")
    assert re.fullmatch(r"system call \d+ \w+", row["entry"])


def test_a_page_fault(reports: Reports) -> None:
    row = processor(reports, "handle_mm_fault")
    assert row["entry"].startswith("exception asm_exc_page_fault")
    assert row["syscall"] is None or " in system call " in row["entry"]
    rows = frames(reports, "handle_mm_fault")
    assert "exc_page_fault" in names(rows) and "asm_exc_page_fault" in names(rows)


def test_a_hardirq(reports: Reports) -> None:
    row = processor(reports, "update_process_times")
    assert row["context"] == "hardirq"
    assert re.match(r"interrupt asm_\w*interrupt( in |$)", row["entry"])
    rows = frames(reports, "update_process_times")
    # An interrupt in user mode finds the task's stack empty and stays on it.
    kinds = [row["kind"] for row in rows]
    assert rows[0]["stack"] == ("irq" if "interrupted" in kinds else "task")
    assert rows[-1]["stack"] == "task"


def test_a_softirq(reports: Reports) -> None:
    row = processor(reports, "rcu_core")
    assert row["context"] == "softirq"
    counts = reports["rcu_core"]["current"][1]["rows"]
    (count,) = [entry for entry in counts if entry["cpu"] == row["cpu"]]
    assert count["in_softirq"] == 1 and count["hardirq"] == 0


def test_an_nmi(reports: Reports) -> None:
    row = processor(reports, "default_do_nmi")
    assert row["context"] == "NMI"
    assert row["entry"].startswith("NMI ")
    rows = frames(reports, "default_do_nmi")
    assert rows[0]["stack"] == "NMI"
    counts = reports["default_do_nmi"]["current"][1]["rows"]
    (count,) = [entry for entry in counts if entry["cpu"] == row["cpu"]]
    assert count["nmi"] == 1


def test_every_stack_ends_well(reports: Reports) -> None:
    for place, answers in reports.items():
        if place in ("selected", "switch"):
            continue
        last = frames(reports, place)[-1]
        assert last["kind"] in ("user", "call", "running"), place
        if last["kind"] == "call":  # a kernel thread, or idle
            ends = ("ret_from_fork", "ret_from_fork_asm", "secondary_startup_64")
            assert last["symbol"].startswith(ends)


def test_between_two_tasks(reports: Reports) -> None:
    """The stack pointer is already another task's: it says so, and shows no wrong frames."""
    table = reports["switch"]["kstack"][1]
    assert [row["kind"] for row in table["rows"]] == ["running"]
    assert "just switching to or from another task" in table["broken"]
    current = reports["switch"]["current"][0]
    assert "just switching to or from another task" in current["broken"]


NOT_YET = ("fit 4096", "kmalloc 20", "irqs", "zones", "buddy", "frames", "slabs")
NOT_YET += ("vmalloc", "meminfo", "translate 0x1000000 phys")


def test_an_early_stop(kernel: Path, port: int) -> None:
    """Before there are processes, and per-CPU variables at their final place."""
    output = labs.debug(
        port,
        "source gdb/seginfo.py",
        "hbreak start_kernel",
        "continue",
        "lab current",
        "lab ps",
        "lab threads",
        "lab tree",
        "lab kstack",
        "lab regs",
        "lab task",
        "lab files",
        *(f"lab {view}" for view in NOT_YET),
        *("lab what $rsp", "lab what $rip", "delete", "thbreak rest_init", "continue"),
        *(f"lab {view} --json" for view in NOT_YET),
        "lab what start_kernel",
    )
    assert "swapper, pid 0, runs on CPU 0" in output
    assert output.count("not set up yet: the kernel is still starting") == len(NOT_YET)
    assert output.count('"schema": "') == len(NOT_YET)
    assert "kernel stack of swapper, pid 0" in output
    assert output.count("the page allocator is not set up yet") == 2
    assert "was given back" not in output and "a hole: nothing" not in output
    ours = output.partition("armed")[2]
    assert "not started" in ours
    assert "Traceback" not in ours and "Python Exception" not in ours
    assert "start_kernel+0x0" in output
