# SPDX-License-Identifier: GPL-2.0-only
"""Modules in the guest, and their functions under the names that the kernel uses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Callable

import pytest

from support import guest_modules, labs
from support.damage import FREED, NON_CANONICAL, WILD, changed
from support.traces import ARMED
from support.witnessed import Moment

Moments = Callable[..., Moment]
START_OF_RAM = 0xFFFF_8880_0010_0000  # in the direct map


@pytest.fixture(scope="module")
def moment(moments: Moments) -> Moment:
    """A moment at which two tasks sleep in modules."""
    return moments("modules")


def kstack(moment: Moment, comm: str) -> tuple[list[str], list[str]]:
    """Return the stack of a task of the scene, from the lab and from the kernel."""
    pid = moment.pid("modules", comm)
    rows = moment.table(f"kstack {pid}")
    calls = [row["symbol"] for row in rows if row["kind"] == "call"]
    return calls, re.sub(r"\[<0>\] ", "", moment.proc(pid, "stack")).splitlines()


def test_kstack_is_proc_stack(moment: Moment) -> None:
    found, expected = kstack(moment, "reader")
    assert found == expected
    assert [re.sub("0x[0-9a-f]+", "N", line) for line in found[:2]] == [
        "doze+N/N [hello]",
        "rd+N/N [hello]",
    ]
    found, expected = kstack(moment, "loader")
    assert found == expected
    assert re.match(r"hello_init\+0x\w+/0x\w+ \[napper\]$", found[1])


def pieces(moment: Moment) -> list[dict[str, Any]]:
    """Return the memory areas of all modules."""
    parts = [part for part in moment.lab("kernel") if isinstance(part, dict)]
    return next(part["rows"] for part in parts if part["title"] == "modules")


def test_an_address_in_no_module_has_no_name(moment: Moment) -> None:
    assert {row["name"] for row in pieces(moment)} == {"hello", "napper"}
    for row in pieces(moment):
        behind = row["start"] + (row["size"] + 4095 & -4096)
        symbol = moment.gdb(
            f"python from lab.linux import kallsyms; print(kallsyms.sprint_symbol({behind}))"
        )
        assert symbol.strip() == f"{behind:#x}"


def test_what_an_address_of_a_module_is(moment: Moment) -> None:
    """Its symbol, its section as /sys/module has it, its memory; also by its frame."""
    doze = next(
        row["start"] for row in moment.table("symbol doze") if row["module"] == "hello"
    )
    (hello,) = [row for row in pieces(moment) if row["name"] == "hello"]
    alias = next(
        row["value"]
        for row in moment.table(f"translate {doze + 1:#x}")
        if row["what"] == "direct map"
    )
    for place in (doze + 1, alias):
        facts = {row["is_"]: row for row in moment.table(f"what {place:#x}")}
        assert facts["symbol"]["what"] == "doze [hello]"
        assert facts["symbol"]["start"] == doze
        assert facts["module"]["what"].startswith("hello, ")
        assert facts["section"]["what"] == ".text of hello"
        assert hello["start"] <= facts["section"]["start"] <= doze


DAMAGE = {
    "a list that is cut": ("modules.next", WILD),
    "a list that is not canonical": ("modules.next", NON_CANONICAL),
    "a list that is torn": ("{module}->list.prev", FREED),
    "a module without symbols": ("{module}->kallsyms", 0),
    "a table that is lost": ("{module}->kallsyms", WILD),
    "too many symbols": ("{module}->kallsyms->num_symtab", 0x7FFF_FFFF),
    "no symbols": ("{module}->kallsyms->num_symtab", 0),
    "more symbols than there is memory": ("{module}->kallsyms->num_symtab", 1 << 19),
    "symbols elsewhere": ("{module}->kallsyms->symtab", START_OF_RAM),
    "symbols nowhere": ("{module}->kallsyms->symtab", WILD),
    "names elsewhere": ("{module}->kallsyms->strtab", START_OF_RAM),
    "names nowhere": ("{module}->kallsyms->strtab", FREED),
}


def test_a_damaged_module_has_no_names(moment: Moment) -> None:
    pid = moment.pid("modules", "reader")
    (hello,) = [row for row in pieces(moment) if row["name"] == "hello"]
    rows = moment.table(f"kstack {pid}")
    bare = [
        row | {"symbol": f"{row['address']:#x}"} if "[" in row["symbol"] else row
        for row in rows
    ]
    assert bare != rows
    for what, (place, value) in DAMAGE.items():
        place = place.format(module=f"((struct module *){hello['module']:#x})")
        with changed(moment, place, value):
            assert moment.table(f"kstack {pid}") == bare, what
    assert moment.table(f"kstack {pid}") == rows


def test_names_are_the_same_with_symbols_loaded(moment: Moment) -> None:
    command = f"kstack {moment.pid('modules', 'reader')}"
    before = moment.table(command)
    moment.gdb(f"lx-symbols {moment.programs}")
    after = moment.table(command)
    for old, new in zip(before, after, strict=True):
        assert new["symbol"] == old["symbol"]
        if new["symbol"].endswith("[hello]"):
            assert not old["source"] and "hello.c" in new["source"]


@pytest.fixture(scope="module")
def stopped(
    kernel: Path, module: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Any], str]:
    """What the lab says while a module prints its stack, then at the page it touches.

    With the console, where the stack was printed.
    """
    port, folder = labs.free_port(), tmp_path_factory.mktemp("stopped")
    program = guest_modules.carrier("hello.c", folder, module("hello"))
    commands = [
        "lab kstack --json",
        "thbreak **(unsigned long *)$rsp",  # back in the module
        "continue",
        "lab kstack --json",
        "lab current --json",
        "lab trace fault --json",
    ]
    answers = labs.inside(
        "trace.py",
        port,
        folder,
        commands,
        (*ARMED, "hbreak *dump_stack", "continue", "delete"),
        PROGRAM=program,
        SMP=1,
    )
    assert labs.leaks(port) == []
    return answers, labs.console_log(port)


@pytest.mark.once
def test_kstack_of_a_running_task_is_what_the_kernel_prints(
    stopped: tuple[list[Any], str],
) -> None:
    (_, table), console = stopped[0][0], stopped[1]
    printed = re.split("Call Trace:|<TASK>", console)[-1]
    expected = re.findall(r"(?<!\? )\b\S+\+0x\w+/0x\w+(?: \[\w+\])?$", printed, re.M)
    assert expected[0].startswith("dump_stack")
    behind = [name for name in expected if not name.startswith("dump_stack")]
    calls = [row["symbol"] for row in table["rows"] if row["kind"] == "call"]
    assert calls == behind
    assert [call.split("+")[0] for call in calls[:2]] == ["tell", "wr"]
    assert all(call.endswith(" [hello]") for call in calls[:2])


@pytest.mark.once
def test_current_names_a_function_of_a_module(stopped: tuple[list[Any], str]) -> None:
    first, _, _, (_, stack), (current, *_), _ = stopped[0]
    before = [row for row in first[1]["rows"] if row["kind"] == "call"]
    symbols = [row["symbol"] for row in stack["rows"]]
    assert symbols[:-1] == [row["symbol"] for row in before]
    assert [row["at"] for row in current["rows"]] == [before[0]["symbol"]]
    assert before[0]["symbol"].endswith(" [hello]")


@pytest.mark.once
def test_trace_names_a_function_of_a_module(stopped: tuple[list[Any], str]) -> None:
    events = stopped[0][-1][0]["data"]
    (fault,) = [event for event in events if event["mode"] == "kernel"]
    (start,) = re.findall(r"symbol name=wr address=(\w+)", stopped[1])
    inside = fault["ip"] - int(start, 16)
    assert re.match(rf"wr\+{inside:#x}/0x\w+ \[hello\]$", fault["inside"])
    assert fault["inside"] in fault["what"]


def test_a_program_brings_its_modules(
    port: int, module: Callable[..., Path], tmp_path: Path
) -> None:
    program = guest_modules.carrier("insmod.c", tmp_path, module("hello"))
    args = "/bin/busybox,cat,/proc/modules"
    ended = labs.run("scripts/boot.sh", PORT=port, PROGRAM=program, ARGS=args)
    assert "\nhello 16384 0 - Live 0xffffffff" in ended.stdout, ended.stdout
