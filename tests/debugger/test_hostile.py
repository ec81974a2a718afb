# SPDX-License-Identifier: GPL-2.0-only
"""A guest whose names of processes, files and threads contain what a terminal would obey.

None of it may reach the person's terminal unescaped: no byte below 32 but newline, no
DEL, no C1 control, nothing invisible or that changes the text's direction. Output of
--json must also be JSON. The names are those of tests/guest/programs/hostile.h.
"""

from __future__ import annotations

import ast
import json
import os
import pty
import re
import subprocess
import threading
from pathlib import Path
from typing import Callable, Iterator

import pytest

from support import labs, projects, recordings
from support.hostile import check, names
from support.reports import parts
from support.witnessed import Moment

Moments = Callable[..., Moment]
Program = Callable[[str], Path]
STYLE = re.compile(r"\x1b\[[0-9;]*m")  # the lab's and gdb's own styles
THEIRS = "\x1b[95m"  # a style written by the guest
ELSE = {  # arguments of commands that take others than a PID; {} stands for a PID
    "vma": ["$lab_mm({})->start_code {}", "$lab_mm({})->mmap_base {}"],
    "walk": ["$lab_mm({})->start_code {}", "0 {}"],
    "read": ["$lab_mm({})->arg_start 64 {}", "$lab_mm({})->env_start 1 {}"],
    "phys": ["0x100000"],
    "goto": ["1"],
    "blame": ["$lab_mm({})->start_code"],
    "dump": ["/nowhere/\x1b[95mcore"],
    "trace": ["nothing {}", "mmap \x1b[95m --limit \x1b[95m"],
    "elf": ["{}", "{} /nowhere/\x1b[95m"],
    "ustack": ["{}", "{} /nowhere/\x1b[95m"],
}


def lines_of(written: bytes, what: object) -> list[str]:
    """Split what a terminal or pipe got into lines, checked, without the lab's styles."""
    text = written.decode("utf-8", "surrogateescape").replace("\r\n", "\n")
    assert THEIRS not in text, what
    plain = STYLE.sub("", text)
    check(plain, what)
    return plain.split("\n")


def commands(moment: Moment) -> list[str]:
    """List all lab commands that gdb knows, so that a new one is tried as well."""
    listed = re.findall(r"^lab ([\w-]+)", moment.gdb("help lab"), re.M)
    assert {"ps", "vmas", "trace", "timeline"} <= set(listed)
    return sorted(set(listed))


def typed(moment: Moment, pids: list[int]) -> Iterator[str]:
    """Return each command for each process, as text and as JSON, and some wrong ones."""
    for name in commands(moment):
        for pid in pids:
            for arguments in ELSE.get(name, ["{}", "{} {} {}", ""]):
                line = f"lab {name} {arguments.format(*[pid] * 3)}".rstrip()
                yield from (line, f"{line} --json")
    for wrong in ('"\x1b]0;a\x07"', "\\x1b[2J"):
        yield from (f"lab ps {wrong}", f"lab {wrong}", f"print $lab_task({wrong})")


def ask(moment: Moment, lines: list[str]) -> dict[str, str]:
    """Run some commands, check all of their output, and return it."""
    found = {}
    for line, (output, error) in zip(lines, moment.try_all(lines)):
        check(output, line)
        check(error, line)
        if line.endswith("--json") and not error:
            parts(output)
        found[line] = output + error
    return found


@pytest.fixture(scope="module")
def moment(moments: Moments) -> Moment:
    """A moment at which all hostile processes sleep."""
    return moments("hostile")


def processes(moment: Moment) -> dict[bytes, int]:
    """Return the process ids of the hostile processes, by name."""
    return {
        moment.comm(pid): pid
        for pid in moment.users()
        if moment.ppid(pid) == moment.pid("hostile")
    }


def test_every_command(moment: Moment) -> None:
    pids = processes(moment)
    some = [pids[b"\x1b[95mred"], pids[b"two\nFAKE 1 row"], pids[b"copy"]]
    outputs = ask(moment, list(dict.fromkeys(typed(moment, some))))
    assert r"\x1btext" in outputs[f"lab elf {some[-1]}"]  # .text, as the copy names it


@pytest.mark.slow
def test_every_command_on_every_process(moment: Moment) -> None:
    pids = list(processes(moment).values()) + [moment.pid("hostile"), 1]
    lines = list(dict.fromkeys(typed(moment, pids)))
    for start in range(0, len(lines), 50):
        ask(moment, lines[start : start + 50])
    print(f"{len(lines)} commands on {len(pids)} processes")


def test_each_name_has_one_text(moment: Moment) -> None:
    """It is on one line, and no two names have the same."""
    pids = processes(moment)
    shown = {name: labs.shown(name[:15]) for name in names()}
    assert set(pids) == {name[:15] for name in names()} | {b"copy"}
    assert len(set(shown.values())) == len(shown)
    lines = moment.gdb("lab ps").splitlines()
    rows = {row["pid"]: row["comm"] for row in moment.table("ps")}
    for name, text in shown.items():
        pid = pids[name[:15]]
        assert rows[pid] == text
        assert len([line for line in lines if f"  {text}" in line]) == 1, text
    red = pids[b"\x1b[95mred"]
    areas = {row["name"] for row in moment.table(f"vmas {red}")}
    folder = r"/tmp/hostile/\x1b[95mred"
    assert {rf"{folder}/\x1b[2J\x1b[Hclear", r"/memfd:\x1b[95mred (deleted)"} <= areas
    assert moment.refused(f"lab vma 8 {red} x {red}").startswith("Usage")


def test_the_live_window(moment: Moment) -> None:
    """Its lines and its title are printable: gdb draws them as they are."""
    for pid in list(processes(moment).values())[:4]:
        code = (
            "from lab.linux import mm_changes, task; from lab.view import tui; "
            "from lab.window import picture; "
            f"found = task.task(task.find_task_by_pid({pid})); "
            "rows = mm_changes.snapshot(found.mm, task.onlooker_root()).pieces; "
            "shown = picture.Picture(who=found.comm, doing=found.comm, rows=rows); "
            "layout = tui.Layout(shown, 170); "
            "print(layout.text(0, 0, 99)); print(shown.who)"
        )
        output = "\n".join(lines_of(moment.gdb(f"python {code}").encode(), pid))
        assert "tmp/hostile" in output


# --- Whole runs, on a terminal ----------------------------------------------------


def on_terminal(
    *command: object, given: str = "", **settings: object
) -> tuple[list[str], int]:
    """Run a script with a terminal for its output; the checked lines, and its status."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [str(word) for word in command],
        cwd=labs.ROOT,
        env=labs.environment(TERM="xterm-256color", **settings),
        stdin=subprocess.PIPE,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    output = bytearray()

    def read() -> None:
        try:
            while data := os.read(ours, 1 << 16):
                output.extend(data)
        except OSError:
            pass  # all writers have ended

    reader = threading.Thread(target=read)
    reader.start()
    process.communicate(given.encode(), timeout=labs.LIMIT)
    reader.join()
    os.close(ours)
    return lines_of(bytes(output), command), process.returncode


def verdicts(lines: list[str]) -> list[str]:
    return [line for line in lines if re.match(r"(PASS|FAIL)  hit \d+, ", line)]


def all_named(lines: list[str]) -> None:
    """Check for one line of verdict for each name, and one for the call that failed."""
    found = verdicts(lines)
    assert len(found) == len(names()) + 1, found
    for number, (line, name) in enumerate(zip(found, names()), 1):
        start = re.escape(f"PASS  hit {number}, {labs.shown(name[:15])} ")
        assert re.match(rf"{start}\d+: \d+ checks: .* to verdict$", line), line
    assert "EFAULT" in found[-1]


@pytest.mark.once
@pytest.mark.parametrize("status", [0, 3])
def test_verify(port: int, program: Program, status: int, tmp_path: Path) -> None:
    """It passes, and it fails and shows the end of the console."""
    file = tmp_path / "hits.json"
    settings = {"PORT": port, "PROGRAM": program("hostile_calls.c"), "ARGS": status}
    lines, ended = on_terminal("scripts/verify.sh", JSON=file, **settings)
    assert (ended == 0) == (status == 0), lines
    all_named(lines)
    comms = [hit["comm"] for hit in json.loads(file.read_text())["hits"]]
    assert comms == [labs.shown(name[:15]) for name in names()] + [comms[0]]
    check(file.read_text(), file)
    if status:
        assert lines[-2].startswith("error: the guest's program ended with 3: ")
        assert any(labs.shown(names()[-1]) == line for line in lines)


TRACES = ("exec", "mmap", "fault", "fork", "exit", "syscall all")


@pytest.mark.once
def test_hits_and_timelines(port: int, program: Program) -> None:
    """Every timeline of what the program does, and reports of hits, in colour."""
    given = ["source gdb/seginfo.py", "continue", "seginfo", "seginfo show 1"]
    given += [f"lab trace {what} --limit 12" for what in TRACES]
    given += ["continue", "seginfo show 2", "backtrace 1", "seginfo disarm"]
    given += ["lab trace syscall symlink,execve,openat --limit 30", "kill", "quit"]
    settings = {"PORT": port, "PROGRAM": program("hostile_calls.c")}
    lines, ended = on_terminal(
        "scripts/debug.sh", given="\n".join(given) + "\n", **settings
    )
    assert ended == 0
    output = "\n".join(lines)
    assert output.count("PASS  hit 1, \\x1b[95mred ") == 3
    assert output.count("\nlab trace ") == len(TRACES) + 1, output
    linked = [name for name in names() if f'newname="{labs.shown(name)}"' in output]
    assert len(linked) > 4, output


@pytest.mark.once
@pytest.mark.slow
def test_a_recording(port: int, program: Program, tmp_path: Path) -> None:
    folder = tmp_path / "recording"
    settings = {"PORT": port, "PROGRAM": program("hostile_calls.c"), "ARGS": 3}
    lines, ended = on_terminal("scripts/record.sh", RECORDING=folder, **settings)
    assert ended == 0, lines
    assert labs.shown(names()[0]) in lines  # the console as recorded
    assert "the program ended with 3: " in "\n".join(lines)
    hits = [f"hit {number}" for number in range(1, len(names()) + 2)]
    raw = {"kind": "event", "comm": "\x1b[95mold", "what": "two\nlines\x1b]0;x\x07"}
    moments = json.loads((folder / "moments.json").read_text())
    moments["moments"].append(
        dict(moments["moments"][5], **raw)
    )  # a kind of moment that the lab never writes
    (folder / "moments.json").unlink()
    (folder / "moments.json").write_text(json.dumps(moments))
    recordings.reseal(folder)
    given = ["set width 250", "source gdb/seginfo.py", "seginfo brief", "lab timeline"]
    given += ["lab timeline --json", "continue", "continue", "reverse-continue"]
    given += [f"lab goto {number}" for number in (4, 7, 11)]
    given += ["reverse-continue", "kill", "quit"]
    lines, ended = on_terminal(
        "scripts/replay.sh", given="\n".join(given) + "\n", RECORDING=folder, PORT=port
    )
    assert ended == 0, lines
    table = [
        line for line in lines if re.match(r" *\d+ .* (hit \d+|exec|event) ", line)
    ]
    for name, hit in zip(names(), hits):
        rows = [line for line in table if f" {hit} " in line]
        assert len(rows) == 1 and f" {labs.shown(name[:15])} " in rows[0], (hit, table)
    assert any(r"two\nlines\x1b]0;x\x07" in line for line in table), table
    assert any("Moment 4, " in line for line in lines)


# --- The gate itself ----------------------------------------------------------------


@pytest.mark.once
def test_a_console_passes_the_same_gate() -> None:
    """scripts/lib.sh, printable: fed in pieces, cut at any byte of a character."""
    raw = b"\r\n".join(name.replace(b"\n", b"") for name in names()) + b"\r\n\r"
    done = subprocess.run(
        ["bash", "-c", ". scripts/lib.sh && printable"],
        cwd=labs.ROOT,
        input=raw,
        capture_output=True,
        check=True,
    )
    check(done.stdout.decode(), "printable")
    expected = [labs.shown(name.replace(b"\n", b"")) for name in names()] + [r"\r"]
    tabs = [
        line.replace("tab" + " " * 5, r"tab\t")
        for line in done.stdout.decode().split("\n")
    ]
    assert tabs == expected
    pieces = subprocess.Popen(
        ["bash", "-c", ". scripts/lib.sh && printable"],
        cwd=labs.ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert pieces.stdin and pieces.stdout
    pieces.stdin.write("é".encode()[:1])
    pieces.stdin.flush()
    pieces.stdin.write("é\u202e".encode()[1:] + b"x")
    pieces.stdin.flush()
    assert pieces.communicate()[0].decode() == r"é\u202ex"


@pytest.mark.once
def test_the_gate_is_no_python_of_the_person_s(tmp_path: Path) -> None:
    """Like all that the scripts run in Python, it runs in Debian's."""
    projects.command(tmp_path / "bin", "python3", "echo another Python")
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    done = projects.run(
        *("bash", "-c", ". scripts/lib.sh && printf '\\033' | printable"),
        cwd=labs.ROOT,
        PATH=path,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, r"\x1b", "")


@pytest.mark.once
def test_nothing_is_written_past_the_gate() -> None:
    """One file writes; where the lab, and so the gate, cannot be loaded, those who load it."""
    writers = {
        file.name
        for file in (labs.ROOT / "gdb").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("gdb.write", "print", "sys.stdout.write")
    }
    assert writers == {"terminal.py", "connect.py", "seginfo.py"}
