# SPDX-License-Identifier: GPL-2.0-only
"""`make debug` as a person uses it: a terminal, gdb's prompt, Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path
from typing import Iterator

import pytest

from lab.version import VERSION
from support import labs

ENTRY = "__x64_sys_segment_info"
CALLER = "do_syscall_64|do_syscall_x64|x64_sys_call"  # depends on the kernel
DEBUG = labs.ROOT / "scripts" / "debug.sh"


@pytest.fixture
def person(port: int) -> Iterator[labs.Session]:
    """A person who has just typed what the welcome screen suggests first."""
    with labs.session(DEBUG, PORT=port) as person:
        person.prompt()
        assert "seginfo: armed" in person.gdb("source gdb/seginfo.py")
        yield person


def quits(person: labs.Session) -> None:
    """Leaving gdb ends the lab, cleanly."""
    person.type("quit")
    output, status = person.end()
    assert status == 0 and "rror" not in output, output


def hits_of(text: str) -> list[int]:
    """The numbers of the hits whose verdict is a pass."""
    return [int(number) for number in re.findall(r"^PASS  hit (\d+),", text, re.M)]


def test_first_session(port: int, tmp_path: Path) -> None:
    with labs.session("make", "debug", PORT=port) as person:
        welcome = person.prompt()
        assert "source gdb/seginfo.py" in welcome and "continue" in welcome
        assert "Traceback" not in welcome and "auto-load" not in welcome
        assert len(welcome.splitlines()) < 24

        assert "seginfo: armed" in person.gdb("source gdb/seginfo.py")
        report = person.gdb("continue")
        assert "segment_info hit 1: demo" in report and hits_of(report) == [1]
        assert "WRONG" not in report
        again = person.gdb("seginfo")
        assert hits_of(again) == [1] and "1 hit, 1 passed, 0 failed" in again
        assert hits_of(person.gdb("seginfo show 1")) == [1]

        assert "seginfo arm" in person.gdb("help seginfo")
        assert "FILE" in person.gdb("help seginfo json")
        assert f"seginfo {VERSION}; gdb " in person.gdb("seginfo version")
        file = tmp_path / "a file.json"
        assert person.gdb(f"seginfo json {file}").strip() in ("", f"{file}")
        assert json.loads(file.read_text())["passed"] == 1

        version = person.gdb("lx-version")
        assert re.search(r"^Linux version \d+\.\d+", version, re.M)
        assert re.search(r"\d+ +demo$", person.gdb("lx-ps"), re.M)
        quits(person)
    assert not labs.guests(port)


@pytest.mark.once
def test_second_ctrl_c_asks_before_it_gives_the_guest_up(
    person: labs.Session, port: int
) -> None:
    """QEMU may take long to obey the first."""
    (qemu,) = labs.guests(port)
    person.gdb("seginfo run")
    person.type("continue")
    person.wait("hit 3, demo")
    assert labs.wait_until(lambda: "lab: type demo" in labs.console_log(port))
    os.kill(qemu, signal.SIGSTOP)
    for _ in range(2):
        person.press("c")
        time.sleep(1)  # two signals at once count as one
    person.wait(person.GIVE_UP)
    person.type("n")
    os.kill(qemu, signal.SIGCONT)
    assert "received signal SIGINT" in person.prompt()
    assert person.gdb("show confirm").strip().endswith("is off.")
    person.gdb("set confirm on")
    person.gdb("stepi")
    assert person.gdb("show confirm").strip().endswith("is on.")
    person.gdb("set confirm off")
    quits(person)


@pytest.mark.once
@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("seginfo nonsense", "There is no seginfo nonsense"),
        ("seginfo show", "number of a hit"),
        ("seginfo show two", "number of a hit"),
        ("seginfo show 0", "There is no hit 0"),
        ("seginfo show 2", "There is no hit 2"),
        ("seginfo show -1", "number of a hit"),
        ("seginfo show 1 2", "number of a hit"),
        ("seginfo show \u00b2", "number of a hit"),
        ("seginfo json", "name of the file"),
        ("seginfo json /no/such/folder/x", "Cannot write /no/such/folder/x"),
        ("seginfo arm now", "takes no argument"),
        ("seginfo disarm 1", "takes no argument"),
        ("seginfo stop it", "takes no argument"),
        ("seginfo run away", "takes no argument"),
        ("seginfo brief 1", "takes no argument"),
        ("seginfo full 1", "takes no argument"),
    ],
)
def test_bad_commands_say_one_sentence(
    misused: dict[str, str], command: str, says: str
) -> None:
    output = misused[command]
    assert says in output and len(output.splitlines()) == 1
    assert output.endswith(".\n")


@pytest.fixture(scope="module")
def misused(request: pytest.FixtureRequest) -> dict[str, str]:
    """What gdb prints for each bad command, all in one session after one hit."""
    marks = test_bad_commands_say_one_sentence.pytestmark  # type: ignore[attr-defined]
    outputs = {}
    with labs.session(DEBUG, PORT=labs.free_port()) as person:
        person.prompt()
        for command in labs.TO_A_HIT:
            person.gdb(command)
        for command, _ in marks[0].args[1]:
            outputs[command] = person.gdb(command)
        quits(person)
    return outputs


@pytest.mark.once
def test_what_goes_wrong_may_go_to_a_file(port: int, tmp_path: Path) -> None:
    """Then standard error is no terminal; and that QEMU died is for gdb to report."""
    file = tmp_path / "errors"
    command = f"{DEBUG} 2>{file}"
    with labs.session("bash", "-c", command, PORT=port) as person:
        person.prompt()
        assert "armed" in person.gdb("source gdb/seginfo.py")
        person.gdb("nonsense")
        [qemu] = labs.guests(port)
        os.kill(qemu, signal.SIGKILL)
        person.type("quit")
        output, status = person.end()
    assert status == 1 and "Killed" not in output and "Terminated" not in output
    assert "Undefined command" in file.read_text() and "Killed" not in file.read_text()


@pytest.mark.once
@pytest.mark.parametrize(
    ("ends", "says", "fails"),
    [
        (signal.SIGKILL, "QEMU was killed by SIGKILL, and the guest with it", True),
        (signal.SIGTERM, "QEMU was told to end, and the guest with it: ", True),
        ("monitor quit", "QEMU was told to end by its monitor", False),
        ("kill", "QEMU was told to end by gdb", False),
    ],
)
def test_a_qemu_that_has_ended_is_told_at_the_prompt_and_at_the_end(
    port: int, ends: str | signal.Signals, says: str, fails: bool
) -> None:
    """gdb itself knows only that the connection is closed."""
    with labs.session("scripts/debug.sh", PORT=port) as person:
        person.prompt()
        if isinstance(ends, str):
            output = person.gdb(ends)
        else:
            [qemu] = labs.guests(port)
            os.kill(qemu, ends)
            output = ""
        if ends != "kill":  # which gdb does itself, so that it knows
            output = person.gdb("stepi")
        assert "QEMU has ended, and the guest with it: type quit" in output
        assert "QEMU" not in person.gdb("info line start_kernel")
        person.type("quit")
        output, status = person.end()
        assert says in output and (status == 1) == fails, (output, status)


@pytest.mark.once
def test_a_guest_that_ends_or_is_left_is_no_qemu_that_was_killed(port: int) -> None:
    for commands in (("continue",), ("disconnect",)):
        assert "QEMU" not in labs.debug(port, *commands)


@pytest.mark.once
def test_the_console_does_not_take_gdb_s_terminal(port: int) -> None:
    """gdb has a command make; the guest is stopped while it runs."""
    with labs.session("scripts/debug.sh", PORT=port) as person:
        person.prompt()
        output = person.gdb("make console")
        assert "gdb has this terminal" in output and "in another one" in output
        assert "Ctrl-]" not in output
        quits(person)


@pytest.mark.once
def test_a_program_that_outlives_gdb_is_not_waited_for(
    port: int, tmp_path: Path
) -> None:
    """But all output until then is written, and nobody keeps the pipe open."""
    file = tmp_path / "pid"
    start = f"shell sleep {2 * labs.LIMIT} & echo $! >{file}"
    output = labs.debug(port, start, "shell seq 20000", "echo last words\\n")
    os.kill(int(file.read_text()), signal.SIGKILL)  # fails if it is not alive
    assert "\n20000\n" in output and "last words" in output


def test_own_breakpoints_and_stepping_over_the_stops(person: labs.Session) -> None:
    assert "Breakpoint 2" in person.gdb(f"break *{ENTRY}")
    assert "hit Breakpoint 2" in person.gdb("continue")
    assert "0x" in person.gdb("stepi")
    report = ""
    for _ in range(40):  # lines of the call, until it returns
        report += person.gdb("next")
        if hits_of(report):
            break
    assert hits_of(report) == [1]
    assert "Value returned is" in person.gdb("finish")
    assert re.search(CALLER, person.gdb("bt 1"))

    # A breakpoint of the user's between the stops of the check
    person.gdb("delete 2")
    assert "breakpoint 3 at" in person.gdb("hbreak segment_info_fill")
    assert "hit Breakpoint 3" in person.gdb("continue")
    report = person.gdb("finish")
    assert report.count("Value returned is") == 1 and "struct segment_info" in report
    assert report.count("#0 ") == 1  # "Run till exit from #0": only that frame
    person.gdb("delete 3")
    assert hits_of(person.gdb("continue")) == [2]
    # Stepping off the return instruction, at which gdb is stopped now
    assert re.search(CALLER, person.gdb("stepi"))
    assert hits_of(person.gdb("continue")) == [3]
    quits(person)


@pytest.mark.once
def test_interrupt_and_continue_while_armed(person: labs.Session, port: int) -> None:
    person.gdb("seginfo run")
    person.gdb("seginfo brief")
    person.type("continue")
    output = "".join(person.wait(f"hit {number}, demo") for number in (1, 2, 3))
    assert "ma[0]" not in output  # brief
    assert labs.wait_until(lambda: "lab: type demo" in labs.console_log(port))
    assert "received signal SIGINT" in person.interrupt()
    assert "3 hits, 3 passed, 0 failed" in person.gdb("seginfo")

    # Disarmed, no breakpoint is left; armed again, it works again
    assert "disarmed" in person.gdb("seginfo disarm")
    assert person.gdb("maint info breakpoints").startswith("No breakpoints")
    assert "not armed" in person.gdb("seginfo")
    assert "disarmed" in person.gdb("seginfo disarm")
    assert "armed" in person.gdb("seginfo arm")

    person.type("continue")
    person.wait("Continuing.")
    with labs.session("scripts/console.sh", PORT=port) as guest:
        guest.wait("Ctrl-]")
        guest.type("echo $((6 * 7))")
        guest.wait("42")
        other = labs.run("scripts/console.sh", PORT=port)
        assert other.returncode != 0 and "open in another terminal" in other.stderr
        guest.type("demo | tail -n 1")
        for number in (4, 5, 6):
            person.wait(f"hit {number}, demo")
        guest.wait("all as in /proc/self/maps")
        guest.press("]")
        assert guest.end()[1] == 0
    person.interrupt()
    assert "6 hits, 6 passed, 0 failed" in person.gdb("seginfo")
    quits(person)


@pytest.mark.once
@pytest.mark.parametrize("command", ["info threads", "continue"])
def test_closing_the_terminal_ends_everything(
    person: labs.Session, port: int, command: str
) -> None:
    person.gdb("seginfo run")
    person.type(command)
    person.wait("Thread" if command == "info threads" else "hit 3, demo")
    person.hang_up()
    assert labs.wait_until(lambda: not labs.guests(port))
    assert labs.wait_until(lambda: not labs.run_folder(port).exists())


CTRL_C = "import os, signal; os.kill(os.getpid(), signal.SIGINT)"


@pytest.mark.once
def test_ctrl_c_while_gdb_starts(port: int, tmp_path: Path) -> None:
    """The lab ends as it does before, and says so: gdb would go on without it."""
    (tmp_path / ".gdbinit").write_text(f"python {CTRL_C}\n")
    with labs.session("scripts/debug.sh", PORT=port, HOME=tmp_path) as person:
        output, status = person.end()
    assert status == 130 and "interrupted while gdb started" in output
    assert not re.search(r"Traceback|Python|error|\(gdb\)", output), output


@pytest.mark.once
def test_no_variable_is_blamed_that_is_not_set(port: int, tmp_path: Path) -> None:
    """Those for Python may be why the lab is not loaded."""
    (tmp_path / ".gdbinit").write_text("quit\n")
    start = 'unset "${!PYTHON@}"; exec scripts/debug.sh'
    ended = labs.run("bash", "-c", start, PORT=port, HOME=tmp_path)
    last = ended.stderr.splitlines()[-1]
    assert last == "error: gdb did not load the lab: see above."


@pytest.mark.once
def test_ctrl_c_at_any_time_of_loading(vmlinux: Path, tmp_path: Path) -> None:
    """One sentence; sourced again, it is whole."""
    hook = f"""
import sys
class Pressed:
    def find_spec(name, path, target=None):
        if name == WHERE:
            sys.meta_path.remove(Pressed)
            {CTRL_C}
"""
    (tmp_path / "hook.py").write_text(hook)
    for where in ("lab.commands", "lab.replay.session", "lab.commands.vma"):
        ended = labs.gdb(
            f"python WHERE = {where!r}",
            f"source {tmp_path / 'hook.py'}",
            "python sys.meta_path.insert(0, Pressed)",
            "source gdb/seginfo.py",
            "echo then\\n",
            "source gdb/seginfo.py",
            program=vmlinux,
        )
        first, then = ended.stderr.splitlines()
        assert first == "seginfo: interrupted: type source gdb/seginfo.py again."
        assert then.startswith("seginfo: ") and "is connected" in then, then
        assert ended.stdout == "then\n"


@pytest.mark.once
def test_source_again(person: labs.Session) -> None:
    first = person.gdb("maint info breakpoints").count("keep y")
    assert "seginfo: armed" in person.gdb("source gdb/seginfo.py")
    assert person.gdb("maint info breakpoints").count("keep y") == first
    assert hits_of(person.gdb("continue")) == [1]
    assert "seginfo: armed" in person.gdb("source gdb/seginfo.py")
    assert hits_of(person.gdb("continue")) == [1]  # a new check with a new count
    quits(person)


def test_armed_in_the_middle_of_a_call(port: int) -> None:
    output = labs.debug(
        port,
        "source gdb/seginfo.py",
        "hbreak segment_info_fill",
        "continue",
        "seginfo disarm",
        "seginfo arm",
        "delete 2",
        "seginfo run",
        "seginfo brief",
        "continue",
    )
    assert hits_of(output) == [1, 2]  # the demo calls three times
    assert "FAIL" not in output and "Traceback" not in output


@pytest.mark.once
def test_the_breakpoint_can_be_deleted_as_any_other(port: int) -> None:
    output = labs.debug(
        port,
        "source gdb/seginfo.py",
        "continue",
        "delete 1",
        "seginfo",
        "seginfo arm",
        "continue",
        "disable",
        "continue",
    )
    assert "not armed: type `seginfo arm`" in output
    assert sorted(set(hits_of(output))) == [1, 2] and "exited normally" in output


@pytest.mark.once
def test_commands_from_standard_input_to_the_guests_end(port: int) -> None:
    output = labs.debug(
        port,
        "source gdb/seginfo.py",
        "seginfo run",
        "continue",
        "seginfo show 3",
        "seginfo arm",
        "continue",
    )
    assert hits_of(output) == [1, 2, 3, 3] and "exited normally" in output
    assert "No kernel is connected" in output and "not being run" in output
    assert "Traceback" not in output


@pytest.mark.once
def test_without_a_lab_there_is_no_console(port: int) -> None:
    ended = labs.run("scripts/console.sh", PORT=port)
    assert ended.returncode != 0 and "make debug" in ended.stderr
