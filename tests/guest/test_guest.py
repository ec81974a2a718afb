# SPDX-License-Identifier: GPL-2.0-only
"""The guest: its programs, and how /init follows the kernel command line."""

from __future__ import annotations

import ctypes
import errno
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from support import labs
from support.boots import append_program, boot, command, exit_status

# --- demo ---------------------------------------------------------------------


class Area(NamedTuple):
    """An area as demo prints it."""

    start: int
    end: int
    text: str


class Block(NamedTuple):
    """The output of one thread of demo."""

    thread: int
    lines: list[str]
    areas: list[Area]
    objects: dict[str, tuple[int, int]]  # kind: address, number of its area


FIRST = re.compile(r"thread (\d+), (the main thread|started by the main thread)$")
AREA = re.compile(r" +\d+ 0x([0-9a-f]+)-0x([0-9a-f]+) +\d+ KiB  (.*)$")
OBJECT = re.compile(r"  (\w+) +0x([0-9a-f]+)  in area (\d+)$")


def blocks(console: str) -> list[Block]:
    """Split demo's output into blocks, one for each thread."""
    found: list[Block] = []
    for line in console.splitlines():
        if line.startswith("lab: demo exited"):
            return found
        if first := FIRST.match(line):
            found.append(Block(int(first[1]), [], [], {}))
        if not found:
            continue
        block = found[-1]
        block.lines.append(line)
        if area := AREA.match(line):
            block.areas.append(Area(int(area[1], 16), int(area[2], 16), area[3]))
        if item := OBJECT.match(line):
            block.objects[item[1]] = (int(item[2], 16), int(item[3]))
    raise AssertionError(f"demo did not end:\n{console}")


@pytest.fixture(scope="module")
def demo() -> str:
    """The console of a guest that ran demo."""
    return boot("demo")


def test_demo_finds_all_as_in_maps(demo: str) -> None:
    assert exit_status(demo, "demo") == 0
    for block in blocks(demo):
        count = len(block.areas)
        verdict = f"thread {block.thread}: {count} areas, all as in /proc/self/maps"
        assert block.lines[-1] == verdict
        assert count > 10


def test_demo_has_three_threads_that_take_turns(demo: str) -> None:
    found = blocks(demo)
    ids = [block.thread for block in found]
    assert len(set(ids)) == 3 and ids[0] == min(ids)
    assert [block.lines[0].endswith(", the main thread") for block in found] == [
        True,
        False,
        False,
    ]
    # First line, six objects, six boundaries, the areas, the verdict: lines of threads
    # are neither mixed nor torn.
    for block in found:
        assert len(block.lines) == 1 + 6 + 6 + len(block.areas) + 1, block.lines
        starts = [area.start for area in block.areas]
        assert starts == sorted(starts)


def test_demo_shares_all_but_the_stack(demo: str) -> None:
    found = blocks(demo)
    kinds = ["code", "data", "bss", "heap", "mmap", "stack"]
    for block in found:
        assert list(block.objects) == kinds
        for address, number in block.objects.values():
            assert block.areas[number].start <= address < block.areas[number].end
    for kind in kinds:
        places = {block.objects[kind] for block in found}
        assert len(places) == (3 if kind == "stack" else 1), kind


def test_demo_says_what_each_area_is(demo: str) -> None:
    found = blocks(demo)
    words = {"code": "text", "mmap": "mmap region", "stack": "this thread's stack"}
    for block in found:
        for kind, (_, number) in block.objects.items():
            assert words.get(kind, kind) in block.areas[number].text
        for other in found:
            if other is not block:
                at = block.areas[other.objects["stack"][1]]
                assert f"stack of thread {other.thread}" in at.text
        text = "\n".join(area.text for area in block.areas)
        for name in ("/bin/demo", "[heap]", "[stack]", "[vvar]", "[vdso]"):
            assert name in text


# What a debugger changes in the kernel's struct before it is copied to demo, and how
# demo must report it.
LIES = {
    "ma[2].vm_start += 4096": "area 2 is ",
    "ma[1].vm_end -= 1": "area 1 is ",
    "ma[0].name[0] = 0x21": "area 0 is ",
    "ma[5].name[23] = 1": "area 5 is ",
    "ma_size -= 1": "ma_size is ",
    "ma[23].name[7] = 1": "area 23 is unused but not zero",
}


@pytest.mark.once
@pytest.mark.parametrize("lie, complaint", LIES.items())
def test_demo_finds_a_lie(
    lie: str, complaint: str, port: int, kernel: Path, vmlinux: Path
) -> None:
    words = "nokaslr lab.run=demo lab.then=reboot"
    with labs.qemu(port, kernel / "vmlinux.pvh", words) as console:
        # Not `finish`, which waits on one processor: the task may continue on the other
        liar = labs.gdb(
            f"target remote {labs.gdb_socket(port)}",
            "break *segment_info_fill",
            "continue",
            "delete",
            "tbreak *(*(unsigned long *)$rsp)",
            "continue",
            f"set var ((struct segment_info *)$rax)->{lie}",
            "continue",
            program=vmlinux,
        )
        output = console.read_text(errors="replace").replace("\r", "")
    assert exit_status(output, "demo") == 1, liar.stdout + liar.stderr
    verdicts = [block.lines[-1] for block in blocks(output)]
    assert f": WRONG, {complaint}" in verdicts[0]
    assert all("all as in" in verdict for verdict in verdicts[1:])


# --- The other programs -------------------------------------------------------


def test_selftest_passes() -> None:
    output = boot("selftest")
    assert exit_status(output, "selftest") == 0
    plan = re.search(r"^1\.\.(\d+)$", output, re.M)
    assert plan, output
    planned = int(plan[1])
    results = re.findall(r"^(ok|not ok) (\d+) (.+)$", output, re.M)
    assert [int(number) for _, number, _ in results] == list(range(1, planned + 1))
    assert planned >= 29
    assert {result for result, _, _ in results} == {"ok"}, output
    # Only what kernels before 5.17 lack may be skipped
    skipped = [claim for _, _, claim in results if "# SKIP" in claim]
    assert all("prctl" in claim for claim in skipped)
    passed = f"pass:{planned - len(skipped)} fail:0 xfail:0 xpass:0"
    assert f"# Totals: {passed} skip:{len(skipped)} error:0" in output


@pytest.mark.once
@pytest.mark.parametrize("args, calls", [((), 600), ((3, 0, 7), 21), ((1, 8, 50), 50)])
def test_storm_counts_its_calls(args: tuple[int, ...], calls: int) -> None:
    output = boot("storm", args)
    assert exit_status(output, "storm") == 0
    assert f"storm: {calls} calls, {calls} ok\n" in output


@pytest.mark.once
@pytest.mark.parametrize("args", [("x",), (0,), (1, 2, 3, 4), (65,)])
def test_storm_refuses(args: tuple[object, ...]) -> None:
    output = boot("storm", args)
    assert exit_status(output, "storm") == 2
    assert "is not a number from" in output or "usage: storm" in output


@pytest.mark.once
@pytest.mark.parametrize("args, areas", [((), 20000), ((70000,), 70000), ((24,), 24)])
def test_many_maps_that_many(args: tuple[int, ...], areas: int) -> None:
    output = boot("many", args)
    assert exit_status(output, "many") == 0
    assert f"many: mapped {areas} areas, segment_info() gave the first 24\n" in output


def test_many_makes_areas_that_do_not_merge(tmp_path: Path) -> None:
    """Each area that is asked for is one more in /proc/PID/maps: none are merged."""
    program = labs.script(
        tmp_path / "count",
        "for n in 1 2 3; do many $n; done",
    )
    output = boot("/lab/program", image=append_program(program, tmp_path))
    given = [int(n) for n in re.findall(r"gave the first (\d+)", output)]
    assert len(given) == 3 and given == [given[0], given[0] + 1, given[0] + 2], output


# --- A kernel without the call ------------------------------------------------


class Filter(ctypes.Structure):
    """struct sock_filter of linux/filter.h."""

    _fields_ = [
        ("code", ctypes.c_uint16),
        ("jt", ctypes.c_uint8),
        ("jf", ctypes.c_uint8),
        ("k", ctypes.c_uint32),
    ]


class Program(ctypes.Structure):
    """struct sock_fprog of linux/filter.h."""

    _fields_ = [("len", ctypes.c_uint16), ("filter", ctypes.POINTER(Filter))]


def forbid_the_call() -> None:
    """Make system call 451 return ENOSYS from now on, with a seccomp filter."""
    lines = (Filter * 4)(
        Filter(0x20, 0, 0, 0),  # load the number of the call
        Filter(0x15, 0, 1, 451),  # if it is 451 go to the next line, else skip it
        Filter(0x06, 0, 0, 0x00050000 | errno.ENOSYS),  # return this error
        Filter(0x06, 0, 0, 0x7FFF0000),  # allow
    )
    program = Program(4, lines)
    libc = ctypes.CDLL(None, use_errno=True)
    zero = ctypes.c_ulong(0)
    if libc.prctl(38, ctypes.c_ulong(1), zero, zero, zero):  # PR_SET_NO_NEW_PRIVS
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS)")
    # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
    if libc.prctl(22, ctypes.c_ulong(2), ctypes.byref(program), zero, zero):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_SECCOMP)")


def without_the_call(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the guest on the host, where the call returns ENOSYS."""
    return subprocess.run(
        [labs.USER / program],
        preexec_fn=forbid_the_call,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.once
def test_selftest_skips_without_the_call() -> None:
    ended = without_the_call("selftest")
    assert ended.returncode == 4
    reason = "this kernel has no segment_info()"
    assert ended.stdout == f"TAP version 13\n1..0 # SKIP {reason}\n"


@pytest.mark.once
@pytest.mark.parametrize("program", ["demo", "many"])
def test_programs_say_in_one_sentence_that_there_is_no_call(program: str) -> None:
    ended = without_the_call(program)
    assert ended.returncode == 1
    assert ended.stdout == ""
    want = "this kernel has no segment_info(): boot the lab's with 'make boot'"
    assert ended.stderr == f"{program}: {want}\n"


@pytest.mark.once
def test_storm_counts_no_call_as_good_without_the_call() -> None:
    ended = without_the_call("storm")
    assert ended.returncode == 1
    assert ended.stdout == "storm: 600 calls, 0 ok\n"


# --- /init --------------------------------------------------------------------


def test_boot_time_is_shown(demo: str) -> None:
    assert re.search(r"^lab: Linux \d+\.\d+\.\d+\S* booted in \d+\.\d\d s$", demo, re.M)


def test_file_systems_are_mounted(tmp_path: Path) -> None:
    program = labs.script(
        tmp_path / "p", "cat /proc/mounts", "ls -l /dev/null /dev/zero"
    )
    output = boot("/lab/program", image=append_program(program, tmp_path))
    for kind, place in (("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")):
        assert re.search(f"^{kind} {place} {kind} ", output, re.M), output
    assert output.count("crw") == 2 and exit_status(output, "/lab/program") == 0


def test_share_can_be_read_and_not_written(tmp_path: Path) -> None:
    share = tmp_path / "a share, with a comma"
    share.mkdir()
    (share / "hello").write_text("from the host\n")
    program = labs.script(
        tmp_path / "p",
        "cd /mnt/host_share",
        "cat hello",
        "grep -c ' /mnt/host_share 9p ro,' /proc/mounts",
        "for act in 'touch new' 'rm -f hello' 'mkdir folder' 'chmod 0 hello'; do",
        '  $act 2>/dev/null && echo "$act worked"',
        "done",
        "mount -o remount,rw /mnt/host_share && touch new 2>/dev/null && echo written",
        "true",
    )
    image = append_program(program, tmp_path)
    output = boot("/lab/program", share=share, image=image)
    assert "from the host\n1\nlab: /lab/program exited with 0" in output, output
    assert [file.name for file in share.iterdir()] == ["hello"]
    assert (share / "hello").read_text() == "from the host\n"


@pytest.mark.once
def test_no_word_of_a_share_that_is_not_there(demo: str) -> None:
    before = demo.split("thread ", 1)[0]
    lines = [line for line in before.splitlines() if not line.startswith("[")]
    assert len(lines) == 1 and "booted" in lines[0], before


@pytest.mark.once
def test_arguments_reach_the_program_as_they_are(tmp_path: Path) -> None:
    program = labs.script(tmp_path / "p", 'for word; do echo "<$word>"; done')
    image = append_program(program, tmp_path)
    output = boot("/lab/program", ["one", "*", "", "$HOME", "a=b", "~"], image=image)
    assert "<one>\n<*>\n<>\n<$HOME>\n<a=b>\n<~>\nlab: " in output, output


@pytest.mark.once
@pytest.mark.parametrize(
    "body, status", [("exit 42", 42), ("kill -9 $$", 137), ("/none", 127)]
)
def test_exit_status_is_told(body: str, status: int, tmp_path: Path) -> None:
    program = labs.script(tmp_path / "p", body)
    output = boot("/lab/program", image=append_program(program, tmp_path))
    assert exit_status(output, "/lab/program") == status


@pytest.mark.once
def test_unknown_program_is_named() -> None:
    output = boot("nonsense")
    assert "lab: no program /bin/nonsense in this image" in output
    assert exit_status(output, "nonsense") == 127


# --- The shell ----------------------------------------------------------------

PROMPT = "lab # "


@pytest.fixture
def busy(tmp_path: Path) -> Path:
    """An image whose program never ends."""
    program = labs.script(tmp_path / "p", "echo running", "while :; do sleep 1; done")
    return append_program(program, tmp_path)


@pytest.mark.once
def test_shell_with_job_control() -> None:
    with labs.session(*command("lab.run=many lab.args=5")) as person:
        output = person.wait(PROMPT)
        assert "lab: many exited with 0" in output
        assert "lab: type demo, selftest," in output
        assert "job control turned off" not in output
        person.type("sleep 100 & jobs; echo $((6 * 7)) $(uname -n)")
        output = person.wait(PROMPT)
        assert re.search(r"\[1\].*Running +sleep 100", output)
        assert "42 lab" in output
        # Wait until it runs: what it prints is not in the typed line
        person.type("sh -c 'echo be\"\"gun; exec sleep 1000'")
        person.wait("begun")
        person.press("c")
        person.wait(PROMPT)
        person.type("echo left with $?")
        assert "left with 130" in person.wait(PROMPT)
        person.type("exit")
        output, status = person.end()
        assert status == 0 and "Kernel panic" not in output


@pytest.mark.once
def test_shell_is_what_follows_nothing() -> None:
    with labs.session(*command("")) as person:
        assert "exited with" not in person.wait(PROMPT)
        person.type("exit 3")
        assert person.end()[1] == 0


@pytest.mark.once
def test_ctrl_c_ends_the_program_and_not_the_guest(busy: Path) -> None:
    with labs.session(*command("lab.run=/lab/program", image=busy)) as person:
        person.wait("running")
        person.press("c")
        assert "lab: /lab/program exited with 130" in person.wait(PROMPT)
        person.type("exit")
        assert person.end()[1] == 0


@pytest.mark.once
def test_unknown_word_for_then_is_named() -> None:
    with labs.session(*command("lab.then=nonsense")) as person:
        output, status = person.end()
    assert "lab: lab.then=nonsense is unknown: use shell or reboot" in output
    assert status == 0
