# SPDX-License-Identifier: GPL-2.0-only
"""lab trace as a whole: which processes it follows, how it ends, what it refuses."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path
from typing import Callable

import pytest

from support import labs
from support.traces import ARMED, Traced

BOOTED = ("source gdb/seginfo.py", "continue")


def ask(port: int, tmp: Path, *commands: str, before: tuple[str, ...] = ARMED) -> list:
    """Run gdb commands, and return the answer to each."""
    return labs.inside("trace.py", port, tmp, list(commands), before)


def ended(answer: list) -> str:
    """Return the last sentence of a trace with --json."""
    return answer[-1]


def test_the_lab_s_program_is_followed_from_reset(traced: Traced) -> None:
    found = traced("syscall all")
    assert {event["comm"] for event in found.events} == {"demo"}
    assert found.ended.endswith("every followed process has ended.")
    assert len({event["tid"] for event in found.events}) == 3
    asked = [e for e in found.events if e["syscall"] == "segment_info"]
    assert sorted(e["result"] for e in asked) == sorted(e["tid"] for e in asked)
    assert len(asked) == 3


@pytest.mark.once
@pytest.mark.parametrize("who", ["demo", "/bin/demo", "all", "1"])
def test_who_is_followed(who: str, port: int, tmp_path: Path) -> None:
    before = BOOTED if who == "1" else ARMED
    command = f"lab trace syscall exit_group,execve {who} --json"
    (answer,) = ask(port, tmp_path, command, before=before)
    names = {event["comm"] for event in answer[0]["data"]}
    if who == "1":  # init: the demo has started already, and is not followed
        assert "demo" not in names and "the guest has ended" in ended(answer)
        (left_out,) = [p for p in answer if str(p).startswith("Not followed")]
        assert "since it was there before: " in left_out
    elif who == "all":
        assert "demo" in names and len(names) > 2
    else:
        assert names == {"demo"}


@pytest.mark.once
def test_nobody_executes_it(traced: Traced) -> None:
    found = traced("mmap nobody")
    assert found.events == []
    assert found.ended == (
        "lab trace mmap: 0 events; the guest has ended. Another one starts with `make "
        "debug`, after quit. Nobody executed nobody: give its path in the guest, where "
        "PROGRAM= is /lab/program."
    )


@pytest.mark.once
def test_the_current_process_is_followed(port: int, tmp_path: Path) -> None:
    """At the first hit: the events that come after it, of the demo only."""
    (answer,) = ask(port, tmp_path, "lab trace syscall all --json", before=BOOTED)
    names = [event["syscall"] for event in answer[0]["data"]]
    assert "execve" not in names and names[-1] == "exit_group"
    assert names.count("segment_info") == 2  # without the one in progress


@pytest.mark.once
def test_the_limit(port: int, tmp_path: Path) -> None:
    """It ends there, leaves no breakpoint, and the next trace continues from there."""
    first, breakpoints, second, nothing = ask(
        port,
        tmp_path,
        "lab trace syscall all --limit 5 --json",
        "maintenance info breakpoints",
        "lab trace syscall all --limit 7 --json",
        "lab current",
    )
    assert len(first[0]["data"]) == 5
    assert ended(first).endswith("5 events; the limit of 5 events is reached.")
    assert "No breakpoints" in breakpoints
    assert len(second[0]["data"]) == 7
    assert second[0]["data"][0]["time_ns"] >= first[0]["data"][-1]["time_ns"]
    assert "demo" in nothing


@pytest.mark.once
def test_the_check_goes_on_meanwhile(port: int, tmp_path: Path) -> None:
    """Hits are checked, with one line each; they do not stop the trace, but do so afterwards."""
    text = labs.debug(
        port,
        "source gdb/seginfo.py",
        "lab trace syscall segment_info --limit 2",
        "continue",
        "seginfo",
    )
    lines = re.findall(r"^PASS  hit \d", text, re.M)
    assert lines[:2] == ["PASS  hit 1", "PASS  hit 2"]
    assert "3 hits, 3 passed" in text
    assert text.count("__x64_sys_segment_info (regs=") >= 1  # stopped at hit 3


@pytest.mark.once
def test_a_breakpoint_of_the_person_s_ends_it(port: int, tmp_path: Path) -> None:
    (answer,) = ask(
        port,
        tmp_path,
        "lab trace syscall all --json",
        before=(*ARMED, "hbreak *__x64_sys_segment_info"),
    )
    assert re.search(r"the guest is at your breakpoint \d+\.$", ended(answer))
    names = {event["syscall"] for event in answer[0]["data"]}
    assert "mmap" in names and "segment_info" not in names


REFUSED = [
    ("lab trace", "lab trace takes what to follow"),
    ("lab trace nonsense", "There is no lab trace nonsense; there are "),
    ("lab trace syscall", "takes names, such as openat,write, or all"),
    ("lab trace syscall ,", "takes names, such as openat,write, or all"),
    ("lab trace syscall nonsense", "has no system call nonsense"),
    ("lab trace mmap 1 2", "takes one PROGRAM or PID"),
    ("lab trace mmap 4000000", "There is no task 4000000"),
    ("lab trace mmap 2", "is a kernel thread: give another PID"),
    ("lab trace mmap --limit", "--limit takes a number of events"),
    ("lab trace mmap --limit -1", "--limit takes a number of events"),
    ("lab trace mmap --limit 0", "--limit takes a number of events"),
]


@pytest.mark.once
def test_refusals(port: int, tmp_path: Path) -> None:
    answers = ask(port, tmp_path, *(line for line, _ in REFUSED), before=BOOTED)
    for (command, expected), answer in zip(REFUSED, answers):
        assert answer.startswith("error: ") and expected in answer, command
        assert "Traceback" not in answer


@pytest.mark.once
def test_before_there_is_a_process(port: int, tmp_path: Path) -> None:
    (answer,) = ask(port, tmp_path, "lab trace mmap 1")
    assert "There is no process yet" in answer


@pytest.mark.once
def test_without_a_kernel(vmlinux: Path) -> None:
    done = labs.gdb("source gdb/seginfo.py", "lab trace mmap", program=vmlinux)
    assert "No kernel is connected" in done.stderr and "Traceback" not in done.stderr


def test_a_function_that_no_kernel_has(port: int, tmp_path: Path) -> None:
    """A renamed function is named, an optional one is reported."""
    found = labs.inside("points.py", port, tmp_path, before=ARMED)
    assert found["function"] == "do_exit"
    assert (
        "this kernel has no was_renamed() nor is_gone(), which tells" in found["needed"]
    )
    assert found["optional"] == [
        "This kernel has no was_renamed() nor is_gone(): not shown is what it was."
    ]


@pytest.mark.once
def test_a_name_given_twice(traced: Traced) -> None:
    found = traced("syscall set_tid_address,set_tid_address")
    assert len(found.events) == 1


@pytest.mark.once
def test_the_stop_on_which_the_guest_stands(port: int, tmp_path: Path) -> None:
    """gdb steps over it, so a child could be missed."""
    first, second = labs.inside(
        "trace.py",
        port,
        tmp_path,
        ["lab trace fork --limit 1 --json", "lab trace syscall exit_group --json"],
        ARMED,
        PROGRAM=labs.USER / "trace-syscall",
    )
    (event,) = first[0]["data"]
    assert event["function"] == "wake_up_new_task"
    codes = [event["arguments"]["error_code"] for event in second[0]["data"]]
    assert codes == [7, 0]


@pytest.mark.once
def test_ctrl_c_ends_it(port: int, program: Callable[[str], Path]) -> None:
    """At any moment of a busy trace, pressed once or several times; gdb stays usable."""
    settings = {"PROGRAM": program("calls.c"), "ARGS": "2,1000000"}
    chance = random.Random(7)
    with labs.session("scripts/debug.sh", PORT=port, **settings) as person:
        person.prompt()
        person.gdb("source gdb/seginfo.py")
        person.gdb("seginfo disarm")
        for presses in (1, 1, 1, 1, 3, 10, 1, 1):
            person.type("lab trace syscall lseek --limit 100000")
            person.wait(" lseek(")
            time.sleep(chance.random())
            for _ in range(presses):
                person.press("c")
                time.sleep(0.003)
            text = person.prompt()
            # The terminal discards unread input at another Ctrl-C
            assert presses > 1 or re.search(r"\d+ events?; Ctrl-C\.", text), text
            assert "Exception" not in text
            # A superfluous Ctrl-C goes to gdb, which prints Quit and prompts again
            person.type("echo all quiet\\n")
            person.wait(re.compile(r"all quiet\r?\n"))
            person.prompt()
            assert "No breakpoints" in person.gdb("maintenance info breakpoints")
        assert "cpu" in person.gdb("lab current")
        person.type("quit")
        person.end()
