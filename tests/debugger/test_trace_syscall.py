# SPDX-License-Identifier: GPL-2.0-only
"""lab trace syscall: names, arguments, results; nothing lost with 8 threads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from support import labs
from support.traces import ARMED, Trace, Traced

THREADS, ROUNDS = 8, 40
NO_FILE, EBADF = 1000, -9
WANTED = "openat,read,writev,close,wait4,exit_group,write"


@pytest.fixture(scope="module")
def scenario(traced: Traced) -> Trace:
    """The program of user/ for this timeline."""
    return traced(f"syscall {WANTED}", labs.USER / "trace-syscall")


def test_the_scenario(scenario: Trace) -> None:
    """Its calls are known from its source; descriptor 3 is the first free one."""
    assert "lab: /lab/program exited with 0" in scenario.console
    calls = [re.sub(r"0x[0-9a-f]+", "ADDRESS", e["what"]) for e in scenario.events]
    (child,) = {event["tid"] for event in scenario.events} - {scenario.events[0]["tid"]}
    assert calls == [
        'openat(dfd=AT_FDCWD, filename="/proc/version", flags=O_RDONLY|O_CLOEXEC, mode=0)'
        " = 3",
        "read(fd=3</proc/version>, buf=ADDRESS, count=16) = 16",
        "close(fd=3</proc/version>) = 0",
        'openat(dfd=AT_FDCWD, filename="/no/such/file", flags=O_WRONLY, mode=0) = ENOENT',
        "close(fd=1000) = EBADF",
        "writev(fd=1</dev/console>, vec=ADDRESS, vlen=1) = EFAULT",
        "exit_group(error_code=7) does not return",
        f"wait4(upid={child}, stat_addr=ADDRESS, options=0, ru=NULL) = {child}",
        'write(fd=1</dev/console>, buf="trace-syscall: done\\n", count=20) = 20',
        "exit_group(error_code=0) does not return",
    ]


def test_the_summary_counts(scenario: Trace) -> None:
    (table,) = [part for part in scenario.parts if isinstance(part, dict)]
    counted = {row["syscall"]: (row["calls"], row["errors"]) for row in table["rows"]}
    assert counted["openat"] == (2, 1) and counted["close"] == (2, 1)
    assert counted["writev"] == (1, 1) and counted["exit_group"] == (2, 0)


@pytest.mark.once
def test_nothing_is_lost_and_nothing_twice(traced: Traced) -> None:
    found = traced("syscall lseek,gettid", "calls.c", ARGS=f"{THREADS},{ROUNDS}")
    tids = [int(tid) for tid in re.findall(r"^thread (\d+)$", found.console, re.M)]
    assert len(tids) == THREADS
    for tid in tids:
        calls = [(e["syscall"], e["arguments"], e["result"]) for e in found.of(tid)]
        seeks = [call[1]["offset"] for call in calls if call[0] == "lseek"]
        assert seeks == list(range(ROUNDS))
        assert all(call[2] == EBADF for call in calls if call[0] == "lseek")
        assert ("gettid", {}, tid) in calls
    assert len({event["cpu"] for event in found.events}) == 2, "one CPU did all of it"


@pytest.mark.once
def test_arguments_that_are_easily_told_wrong(traced: Traced) -> None:
    found = traced("syscall all", "odd.c")
    assert "lab: /lab/program exited with 0" in found.console
    calls = [
        re.sub(r"0x[0-9a-f]+", "ADDRESS", event["what"])
        for event in found.events
        if event["tid"] == event["pid"] == found.events[0]["tid"]
    ]
    expected = [
        r'write(fd=1</dev/console>, buf="\x00\x01\x02\n", count=4) = 4',
        r'write(fd=1</dev/console>, buf="abc\x00def\n", count=8) = 8',
        "dup2(oldfd=0</dev/console>, newfd=-1) = EBADF",
        "wait4(upid=-1, stat_addr=NULL, options=WNOHANG|__WCLONE, ru=NULL) = ECHILD",
        "unshare(unshare_flags=CLONE_NEWTIME|CLONE_FS) = ",
        "rt_sigreturn() restores the registers",
        "syscall 335() = ENOSYS",
        r'mkdir(pathname="/tmp/\"quoted\"", mode=0750) = 0',
        "mkdir(pathname=ADDRESS (not in memory), mode=0750) = EFAULT",
        "rseq(rseq=ADDRESS, rseq_len=32, flags=0, sig=ADDRESS) = 0",
    ]
    for call in expected:
        assert [what for what in calls if what.startswith(call)], (call, calls)
    (options,) = [
        e["texts"]["options"] for e in found.events if e["syscall"] == "waitid"
    ]
    assert options == "WSTOPPED|WEXITED"
    flags = [e["texts"]["clone_flags"] for e in found.events if e["syscall"] == "clone"]
    assert flags == ["SIGCHLD"] + ["CLONE_VFORK|SIGUSR1"] * 2
    (table,) = [part for part in found.parts if isinstance(part, dict)]
    (row,) = [row for row in table["rows"] if row["syscall"] == "rt_sigreturn"]
    assert row["calls"] == 1 and row["errors"] == 0


def defined(source: Path) -> dict[str, list[list[str]]]:
    """Return the names of the parameters of each SYSCALL_DEFINEn() in the kernel's source.

    There may be several of one name, for other machines and configurations.
    """
    found: dict[str, list[list[str]]] = {}
    folders = ("kernel", "mm", "fs", "ipc", "net", "block", "security", "io_uring")
    files = [f for folder in folders for f in (source / folder).rglob("*.c")]
    files += (source / "arch" / "x86").rglob("*.c")
    form = re.compile(r"^SYSCALL_DEFINE(\d)\((.*?)\)$", re.DOTALL | re.MULTILINE)
    for file in files:
        text = file.read_text(errors="replace")
        for count, inside in form.findall(text):
            name, *words = [part.strip() for part in inside.split(",")]
            if len(words) == 2 * int(count):
                found.setdefault(name, []).append([w.split()[-1] for w in words[1::2]])
    return found


@pytest.fixture(scope="module")
def parameters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The names and types of the parameters of each call, as the lab finds them."""
    folder, port = tmp_path_factory.mktemp("parameters"), labs.free_port()
    try:
        return labs.inside("parameters.py", port, folder, before=ARMED)
    finally:
        assert labs.leaks(port) == []


def test_parameters_are_those_of_the_source(
    kernel: Path, parameters: dict[str, Any]
) -> None:
    """gcc lists those of inlined functions backwards: are all in the right order?"""
    source = defined(kernel / "source")
    compared = 0
    for name, listed in parameters.items():
        if name in source and listed:
            names = [call for call, _ in listed]
            assert names in source[name], name
            compared += len(names) > 1
    assert compared > 100


def test_types_are_those_of_the_source(parameters: dict[str, Any]) -> None:
    assert parameters["openat"] == [
        ["dfd", "int"],
        ["filename", "const char *"],
        ["flags", "int"],
        ["mode", "umode_t"],
    ]
    assert parameters["segment_info"] == [["info", "struct segment_info *"]]
    assert parameters["getpid"] == []
