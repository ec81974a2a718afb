# SPDX-License-Identifier: GPL-2.0-only
"""make record and make replay: always the same, forward, back and after any jump."""

from __future__ import annotations

import fcntl
import json
import os
import random
import re
import shutil
import signal
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from support import labs, recordings

CALLS = 3  # of the demo
ENDS = "qemu_system_shutdown_request"  # an event that QEMU can be made to log
QUIT = 2  # SHUTDOWN_CAUSE_HOST_QMP_QUIT in QEMU's qapi/run-state.json


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A recording of the demo."""
    folder = tmp_path_factory.mktemp("recordings") / "demo"
    yield recordings.whole(folder, labs.free_port())
    shutil.rmtree(folder)


def console(folder: Path) -> str:
    return (folder / "console.log").read_text(errors="replace").replace("\r", "")


def stamps(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return what changes when a file is written or replaced."""
    found = {file.name: file.stat() for file in folder.iterdir()}
    return {
        name: (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        for name, stat in found.items()
    }


def counts(states: list[Any]) -> list[int]:
    return [place for place, _ in states]


# --- Forward and back ------------------------------------------------------------


@pytest.mark.once
def test_two_replays_are_the_same_and_going_back_changes_nothing(
    recording: Path, port: int, tmp_path: Path
) -> None:
    before = stamps(recording)
    first, second = (
        recordings.inside("replay_hits.py", recording, port, tmp_path) for _ in range(2)
    )
    assert first == second

    tids = re.findall(r"^thread (\d+): \d+ areas, all as in", console(recording), re.M)
    assert [str(hit[1]) for hit in first["hits"]] == tids and len(tids) == CALLS
    assert all(hit[6] == [] for hit in first["hits"]) and first["errors"] == []
    assert [hit[0] for hit in first["hits"]] == [1, 2, 3]
    # walk, kernel, user
    assert all(hit[7] == hit[8] == hit[9] for hit in first["hits"])

    moments = first["moments"]
    places = [row["instruction"] for row in moments]
    hits = [row["instruction"] for row in moments if row["kind"].startswith("hit")]
    end = places[-1]
    assert places == sorted(places) and places[0] > 0
    assert [moments[0]["kind"], moments[-1]["kind"]] == ["start", "end"]
    assert "/bin/demo" in [row["what"] for row in moments if row["kind"] == "exec"]
    assert counts(first["forward"]) == [*hits, end]
    assert first["first reports"] == [[hits[i], i + 1, True] for i in range(CALLS)]

    output, stepped, place = first["at the end"]
    assert "The recording ends here" in output and output == stepped and place == end
    assert counts(first["back"]) == [*reversed(hits), places[0]]
    assert first["back"][:-1] == first["forward"][-2::-1]
    assert first["reports going back"] == first["first reports"][::-1]
    assert first["hits after going back"] == first["hits"]  # not counted again
    output, stepped, place = first["at the start"]
    assert "The recording starts here" in output and output == stepped
    assert place == places[0]
    assert first["again"] == first["forward"] and first["hits again"] == first["hits"]
    assert first["reports again"] == first["first reports"] and first["calls"] == 0

    assert stamps(recording) == before
    assert not (labs.BUILD / "run" / str(port) / "replay.qcow2").exists()


@pytest.mark.once
def test_the_start_is_the_kernel_s(recording: Path, port: int, tmp_path: Path) -> None:
    """No firmware is executed again: QEMU 7.2 has lost what it reads by then."""
    found = recordings.inside("replay_start.py", recording, port, tmp_path)
    entry = found["entry"]
    start = moments_of(recording)[0]["count"]
    # At first, again, after executing backwards, and backwards with a breakpoint
    # on the way that is never reached
    assert found["stood"] == [[start, entry]] * 4
    assert min(found["checkpoints"]) == start > 0
    assert f"has those from {start} to" in found["before"]


def test_every_moment_in_any_order(recording: Path, port: int, tmp_path: Path) -> None:
    rows = list(range(len(moments_of(recording))))
    order = rows * 3
    random.Random(7).shuffle(order)
    found = recordings.inside("replay_walks.py", recording, port, tmp_path, order)
    assert found["different"] == []
    for row, [[place, _], output, walks] in zip(found["moments"], found["first"]):
        assert place == row["instruction"] and row["kind"].split()[0] in output
        if row["kind"].startswith("hit"):
            assert not any(isinstance(walk, str) for walk in walks), walks
            current, *_ = walks[0]
            assert [row["pid"] for row in current["rows"]] == [row["pid"]]
    # Nothing of a later moment is seen at an earlier one
    areas = [walks[3] for _, _, walks in found["first"]]
    assert len({str(area) for area in areas}) > 3


def moments_of(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / "moments.json").read_text())["moments"]


@pytest.mark.once
def test_steps_breakpoints_and_jumps(
    recording: Path, port: int, tmp_path: Path
) -> None:
    found = recordings.inside("replay_steps.py", recording, port, tmp_path)
    for count, before, back, after in found["steps"]:
        assert before[0] == count and back == count - 1 and after == before
    moments = moments_of(recording)
    hits = [moment["count"] for moment in moments if moment["kind"] == "hit"]
    own = found["own breakpoint"]
    assert [name for _, name in own[::2]] == ["__x64_sys_segment_info"] * CALLS
    assert [name for _, name in own[1::2]] == ["segment_info_fill"] * CALLS
    assert [place for place, _ in own[::2]] == hits[::-1]
    assert found["enabled"] == [[1, False], [2, True]]
    assert found["into calls"] == [[True, 0]] * 15
    assert found["passed"] and found["errors"] == []
    assert found["checkpoint"] == [True, True]
    [event], middle, place = found["event"]
    assert event["instruction"] == middle == place and event["checkpoint"] == "yes"
    assert event["what"] == "something" and event["comm"] == "demo"
    for error in found["beyond"]:
        assert re.match(r"error: [A-Z].*\.$", error) or "lab goto takes" in error
    assert [number for number, *_ in found["hits"]] == list(
        range(1, len(found["hits"]) + 1)
    )


@pytest.mark.once
def test_a_timeline_is_always_the_same(
    recording: Path, port: int, tmp_path: Path
) -> None:
    """Its events are moments to go to, and a second trace gives the same events."""
    found = recordings.inside("replay_trace.py", recording, port, tmp_path)
    assert len(found["first"]) > 5 and found["first"] == found["second"]
    assert "every followed process has ended" in found["ended"]
    whats = [f"mmap: {event['what']}" for event in found["first"]]
    assert [row["what"] for row in found["events"]] == whats
    assert all(row["comm"] == "demo" for row in found["events"])
    assert all(row["checkpoint"] == "yes" for row in found["events"])
    for expected, place, output in found["visits"]:
        assert place == expected and "mmap: " in output
    assert found["after"] == found["events"]  # not reported again
    # What is left are the events that keep the start and the end of the recording
    assert found["breakpoints"].count(" keep y ") == 2


@pytest.mark.once
def test_interrupts_take_instructions(
    recording: Path, port: int, tmp_path: Path
) -> None:
    """How many, and which softirqs each raises, is the same each time."""
    first, second = recordings.inside("replay_irq.py", recording, port, tmp_path)
    assert first == second and len(first) == 30
    for event in first:
        assert event["step"] != "interrupt" or event["raised"] is not None
        assert 50 < event["instructions"] < 1_000_000
    ticks = [event for event in first if event["step"] == "interrupt"]
    assert all(event["count"] is not None for event in ticks)
    ran = [event for event in first if event["step"] == "softirqs" and event["after"]]
    for event in ran:  # they are those that the interrupt before has raised
        own = [e for e in ticks if e["number"] < event["number"]]
        cause = [e for e in own if e["context"] == "process"][-1]
        assert {*cause["raised"]} <= {*event["softirqs"]}
    assert ran


@pytest.mark.once
def test_who_wrote_this_byte(recording: Path, port: int, tmp_path: Path) -> None:
    # The first hit's buffer was all zeroes before, so only bytes that are not zero can be blamed
    offsets = [1, 2, 64, 88 + 17, 88 + 40 + 20, 88 + 14 * 40 + 17]
    found = recordings.inside("replay_watch.py", recording, port, tmp_path, offsets)
    for offset, blamed in zip(offsets, found["watched"]):
        before, after, again, delivered = blamed["byte"]
        assert before == 0 and after == again == delivered, (offset, blamed)
        assert any("copy" in (name or "") for name in blamed["functions"]), blamed
        assert (
            blamed["between"][0] == blamed["between"][1]
        ), blamed  # stepi undoes reverse-stepi
        assert "mov" in blamed["instruction"] or "rep" in blamed["instruction"], blamed
        if "rep movs" in blamed["instruction"]:
            assert blamed["writes to"] <= blamed["address"] < blamed["writes to"] + 8
        assert delivered, "choose another offset: this byte is zero"
    before, [output], after = found["never"]
    assert "No instruction of the recording changed" in output and before == after
    slash = ord("/")  # the first byte of the first area's name, in both copies
    for blamed in (found["user"], found["kernel"]):
        row = blamed["row"]
        assert blamed["here"] == row["instruction"] == blamed["forward"], blamed
        assert row["after"] == slash != row["before"] and row["comm"] == "demo", blamed
    assert any("copy" in name for name in found["user"]["functions"])
    assert any("str" in name or "mem" in name for name in found["kernel"]["functions"])


@pytest.mark.once
@pytest.mark.slow
def test_who_wrote_to_shared_memory(
    program: Callable[[str], Path], port: int, tmp_path: Path
) -> None:
    """Another process may have written it; but not to this one's private page."""
    settings = {"PROGRAM": program("shared_byte.c")}
    folder = recordings.whole(tmp_path / "shared", port, **settings)
    [found] = re.findall(
        r"^byte (\S+) own (\S+) twice (\S+) parent (\d+) child (\d+)$",
        console(folder),
        re.M,
    )
    *places, parent, child = found
    commands = ["source gdb/seginfo.py", "seginfo brief"]
    for place in places:
        commands += ["lab goto 0", "continue", f"lab blame {place} --json"]
    # Even if it is the last instruction executed
    commands += ["stepi", f"lab blame {places[-1]} --json"]
    # A process has not written what it inherited from its parent, nor has a sibling
    commands += ["lab goto 0", "continue", "continue", f"lab blame {places[1]} --json"]
    output = recordings.output(folder, port, *commands)
    rows = [
        json.loads(row) for row in re.findall(r'^ *({"instruction".*})', output, re.M)
    ]
    assert [(row["pid"], row["before"], row["after"]) for row in rows] == [
        (int(child), 1, 77),
        (int(parent), 0, 2),
        (int(parent), 0, 3),
        (int(parent), 0, 3),
    ], output
    assert rows[2]["instruction"] == rows[3]["instruction"]
    assert output.count("The search began where it was 0x4f: what made it so") == 1
    assert output.count("No instruction of the recording changed the byte at") == 1
    shutil.rmtree(folder)


@pytest.mark.once
def test_who_wrote_right_before_a_checkpoint(recording: Path, port: int) -> None:
    """The call of a function whose first instruction has a checkpoint: a hit's."""
    commands = ["source gdb/seginfo.py", "seginfo brief", "continue", "continue"]
    commands += ["output/x *(unsigned char *) $sp", "lab blame $sp --json"]
    output = recordings.output(recording, port, *commands)
    (row,) = map(json.loads, re.findall(r'^ *({"instruction".*})', output, re.M))
    (now,) = re.findall(r"^\(gdb\) (0x\w+)", output, re.M)
    assert row["after"] == int(now, 16) and "The search began" not in output, output
    assert re.search(
        r"<(do_syscall_64|do_syscall_x64|x64_sys_call)\+\d+>: call", output
    ), output


# --- A terminal -------------------------------------------------------------------


@pytest.mark.once
def test_a_person_at_a_terminal(recording: Path, port: int) -> None:
    with labs.session("scripts/replay.sh", RECORDING=recording, PORT=port) as person:
        assert "A recording of Linux" in person.prompt()
        assert "armed" in person.gdb("source gdb/seginfo.py")
        person.gdb("seginfo brief")
        assert "hit 1, demo" in person.gdb("continue")
        assert "hit 2, demo" in person.gdb("continue")
        assert "hit 1, demo" in person.gdb("reverse-continue")
        output = person.gdb("lab goto 0")
        assert "Moment 0, start" in output and "SIGINT" not in output
        person.gdb("seginfo disarm")
        person.gdb("hbreak kernel_init")
        output = person.gdb("continue")
        assert "kernel_init" in output
        person.gdb("delete")
        person.type("continue")
        person.wait("Continuing.")  # an earlier Ctrl-C would discard the typed line
        person.interrupt()  # wherever it is
        assert "Moment 1, exec" in person.gdb("lab goto 1")
        person.type("quit")
        assert person.end()[1] == 0


@pytest.mark.once
def test_a_move_back_that_was_interrupted(recording: Path, port: int) -> None:
    """QEMU would go on stepping over all breakpoints, including the one at the end."""
    end = moments_of(recording)[-1]["count"]
    press = "python import os, signal, threading; threading.Timer({}, os.kill, ({})).start()"
    commands = ["source gdb/seginfo.py", "seginfo disarm"]
    # QEMU ignores a Ctrl-C while it loads a checkpoint, so some have no effect
    for seconds in (0.2, 0.3, 0.4, 0.5):
        commands += [
            f"lab goto #{end}",
            press.format(seconds, "os.getpid(), signal.SIGINT"),
            "reverse-continue",
            "continue",
        ]
    output = recordings.output(recording, port, *commands)
    assert output.count("The recording ends here") == 4, output
    if "received signal SIGINT" not in output:
        pytest.skip("QEMU was loading a checkpoint each time")


@pytest.mark.once
def test_where_gdb_is_set_to_go_back(recording: Path, port: int) -> None:
    """A jump still works; a timeline would take effects for causes."""
    commands = ["source gdb/seginfo.py", "seginfo disarm", "lab goto 3"]
    commands += ["set exec-direction reverse", "lab trace exit", "lab goto 2"]
    commands += ["show exec-direction", "lab goto 3", "lab blame $sp"]
    output = recordings.output(recording, port, *commands)
    assert (
        "lab trace tells what happens forward" in output and "Following" not in output
    )
    assert "Moment 2, " in output and output.count("Moment 3, ") == 2
    assert "Reverse." in output and "was not reached" not in output
    assert "The byte at" in output


# --- Other programs ----------------------------------------------------------------


@pytest.mark.once
@pytest.mark.slow
def test_a_storm(port: int, tmp_path: Path) -> None:
    settings = {"PROGRAM": labs.USER / "storm", "ARGS": "2,2,20"}
    folder = recordings.whole(tmp_path / "storm", port, **settings)
    [calls] = re.findall(r"^storm: (\d+) calls, \1 ok$", console(folder), re.M)
    moments = [moment for moment in moments_of(folder) if moment["kind"] == "hit"]
    assert len(moments) == int(calls) == 40
    assert all(moment["what"].startswith("PASS") for moment in moments)
    commands = ["source gdb/seginfo.py", "seginfo brief"]
    commands += [f"lab goto #{moments[30]['count']}", *["reverse-continue"] * 3]
    commands += [*["continue"] * 3]
    output = recordings.output(folder, port, *commands)
    numbers = [int(number) for number in re.findall(r"hit (\d+), \S+ \d+:", output)]
    assert numbers == [30, 29, 28, 29, 30, 31]
    assert "FAIL" not in output
    shutil.rmtree(folder)


@pytest.mark.once
@pytest.mark.parametrize(
    ("lines", "ends", "killed"),
    [
        (["kill -SEGV $$"], "the program ended with 139", ["killed by SIGSEGV"]),
        pytest.param(
            ["echo c >/proc/sysrq-trigger"],
            "ended with nothing, the guest before it",
            [],
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_crash_can_be_replayed(
    port: int, tmp_path: Path, lines: list[str], ends: str, killed: list[str]
) -> None:
    program = labs.script(tmp_path / "crash", *lines)
    ended = recordings.record(tmp_path / "crashed", port, PROGRAM=program)
    assert ended.returncode == 0 and ends in ended.stderr, ended.stderr
    assert f": type make replay RECORDING={tmp_path / 'crashed'}" in ended.stderr
    output = recordings.output(
        tmp_path / "crashed", port, "continue", "continue", "bt 8", "reverse-stepi"
    )
    assert output.count("The recording ends here") == 2
    assert ("sysrq_handle_crash" in output) == ("sysrq" in lines[0])
    moments = moments_of(tmp_path / "crashed")
    assert [
        moment["what"] for moment in moments if moment["kind"] == "killed"
    ] == killed
    shutil.rmtree(tmp_path / "crashed")


# --- What cannot be replayed --------------------------------------------------------


@pytest.fixture
def copied(recording: Path, tmp_path: Path) -> Path:
    """A copy of a recording that may be damaged."""
    return recordings.copy(recording, tmp_path / "copy")


def refused(folder: Path, port: int, **settings: Any) -> str:
    """Return the error with which a replay is refused without starting gdb."""
    ended = recordings.replay(folder, port, "source gdb/seginfo.py", **settings)
    assert ended.returncode != 0 and "(gdb)" not in ended.stdout, ended.stdout
    [line] = [line for line in ended.stdout.splitlines() if line]
    assert line.startswith("error: ") and line.endswith("."), line
    return line


def replaced(file: Path, data: bytes) -> None:
    """Replace a file's contents, without changing the original it is hard-linked to."""
    file.unlink()
    file.write_bytes(data)


def cut(file: Path) -> str:
    replaced(file, file.read_bytes()[:-1])
    return "bytes instead of"


def flip(file: Path) -> str:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    replaced(file, bytes(data))
    return "SHA-256 differs"


def remove(file: Path) -> str:
    file.unlink()
    return "is missing"


@pytest.mark.once
@pytest.mark.parametrize("damage", [cut, flip, remove])
@pytest.mark.parametrize("name", sorted(recordings.FILES - {"manifest.json"}))
def test_a_damaged_file(copied: Path, port: int, name: str, damage: Any) -> None:
    says = damage(copied / name)
    line = refused(copied, port)
    assert says in line and str(copied / name) in line and "make record" in line


@pytest.mark.once
def test_a_damaged_manifest(copied: Path, port: int) -> None:
    file = copied / "manifest.json"
    whole = file.read_bytes()
    broken = whole.replace(b'"memory": "256M"', b'"memory": "128M"')
    for data in (b"", whole[:-40], b"[]", b"\xff\xfe", b"{}", broken):
        replaced(file, data)
        assert "is damaged" in refused(copied, port), data
    replaced(file, whole.replace(b'"version": 3', b'"version": 4'))
    assert "of version 4, this lab reads 3" in refused(copied, port)


def headed(file: Path, **fields: int) -> None:
    """Change values in a disk's header: see QEMU's docs/interop/qcow2.txt."""
    places = {"backing_at": 8, "backing_size": 16, "crypt": 32, "features": 72}
    data = bytearray(file.read_bytes())
    for name, value in fields.items():
        size = 8 if name in ("backing_at", "features") else 4
        data[places[name] : places[name] + size] = value.to_bytes(size, "big")
    replaced(file, bytes(data))


def extended(file: Path, kind: int) -> None:
    """Add an extension to a disk's header, before the existing ones."""
    data = bytearray(file.read_bytes())
    length = int.from_bytes(data[100:104], "big")
    extension = kind.to_bytes(4, "big") + (4).to_bytes(4, "big") + b"else\0\0\0\0"
    data[length : length + 1024] = (extension + data[length:])[:1024]
    replaced(file, bytes(data))


@pytest.mark.once
def test_a_disk_that_names_another_file(
    copied: Path, port: int, tmp_path: Path
) -> None:
    """QEMU would open it, or connect to it."""
    disk, copy = copied / "disk.qcow2", tmp_path / "disk"
    problem = "none that make record makes"

    def damaged() -> str:
        with pytest.raises(recordings.manifests.Refused) as refused_with:
            recordings.manifests.copy_disk(copied, copy)
        return str(refused_with.value)

    def made(*options: str) -> None:
        disk.unlink()
        done = labs.run("qemu-img", "create", *options, disk, "1M")
        assert done.returncode == 0, done.stderr

    backed = ("-f", "qcow2", "-F", "raw", "-u", "-b")
    for options in (
        (*backed, "/etc/passwd"),
        ("-f", "qcow2", "-o", f"data_file={tmp_path}/else"),
        ("-f", "qcow2", "-o", "compat=0.10"),
        ("-f", "raw"),
        (*backed, "nbd://127.0.0.1:1/x"),
    ):
        made(*options)
        assert problem in damaged(), options
    recordings.reseal(copied)
    assert problem in refused(copied, port)

    made("-f", "qcow2")
    whole = disk.read_bytes()
    recordings.manifests.copy_disk(copied, copy)
    assert copy.read_bytes() == whole
    for damage in (
        lambda: headed(disk, backing_at=104, backing_size=8),
        lambda: headed(disk, crypt=1),
        lambda: headed(disk, features=4),
        lambda: extended(disk, 0x44415441),  # the name of a data file
        lambda: extended(disk, 0x0537BE77),  # encryption
        lambda: replaced(disk, whole[:80]),
    ):
        replaced(disk, whole)
        damage()
        assert problem in damaged()


@pytest.mark.once
def test_what_a_manifest_leaves_out_or_adds(copied: Path, port: int) -> None:
    """It must name all files, exactly these, by names inside the folder."""
    file = copied / "manifest.json"
    whole = json.loads(file.read_text())
    log = whole["files"]["log"]
    other = copied.parent / "log"
    other.write_bytes((copied / "log").read_bytes())
    rest = {name: digest for name, digest in whole["files"].items() if name != "log"}
    lists = [{}, rest, rest | {"../log": log}, rest | {str(other): log}]
    lists += [whole["files"] | {"more": log}, [], None, "log"]
    for files in lists:
        sealed(file, whole | {"files": files})
        assert "manifest.json is damaged" in unread(copied), files
    assert "manifest.json is damaged" in refused(copied, port)


def unread(folder: Path) -> str:
    """Return the error with which a manifest is refused, without gdb."""
    with pytest.raises(recordings.manifests.Refused) as refused_with:
        recordings.manifests.read(folder)
    return str(refused_with.value)


def sealed(file: Path, manifest: dict[str, Any]) -> None:
    """Write a manifest with its own hash."""
    manifest["sha256"] = recordings.manifests._own_digest(manifest)
    replaced(file, json.dumps(manifest).encode())


@pytest.mark.once
def test_a_manifest_of_other_types(copied: Path, port: int) -> None:
    file = copied / "manifest.json"
    whole = json.loads(file.read_text())
    log = whole["files"]["log"]
    wrong: list[dict[str, Any]] = [
        {name: value}
        for name in ("kernel", "qemu", "memory", "program")
        for value in (7, [[]])
    ]
    wrong += [{"words": ["a"]}, {"made": None}, {"more": 1}, {"version": True}]
    wrong += [{"version": "3"}, {"kernel": whole["kernel"] | {"build_id": {}}}]
    wrong += [{"qemu": whole["qemu"] | {"command": "qemu"}}]
    wrong += [{"qemu": whole["qemu"] | {"command": [[]]}}]
    for size in ("1", 1.5, True, None):
        files = whole["files"] | {"log": log | {"bytes": size}}
        wrong.append({"files": files})
    for change in wrong:
        sealed(file, whole | change)
        assert "manifest.json is damaged" in unread(copied), change
    deep = b"[" * 200_000
    for data in (deep, b'{"version": ' + deep, b'{"version": %s}' % (b"9" * 5000)):
        replaced(file, data)
        assert "manifest.json is damaged" in refused(copied, port), data[:20]
    sealed(file, whole | {"files": whole["files"] | {"log": log | {"bytes": 10**30}}})
    assert "bytes instead of 1000000" in refused(copied, port)


@pytest.mark.once
def test_moments_of_other_types(copied: Path, port: int, tmp_path: Path) -> None:
    file = copied / "moments.json"
    head = json.loads(file.read_text())
    whole = head.pop("moments")
    first = whole[0]
    bad: list[Any] = [7, None, {}, "x", [7], [[]], [{}], [first | {"more": 1}]]
    for name in first:
        bad += [[first | {name: value}] for value in ([], 1.5, True)]
    bad += [[first | {"count": value}] for value in (-1, 10**30, None, "1")]
    bad += [[first | {"kind": "other"}], [first | {"pid": 1 << 63}]]
    every = [json.dumps(head | {"moments": moments}).encode() for moments in bad]
    every += [json.dumps(content).encode() for content in (whole, [], {}, 7, head)]
    every += [json.dumps(head | {name: 7, "moments": whole}).encode() for name in head]
    every += [b"[" * 200_000, b"[", b"", b"\xff"]
    files = [file]
    for number, data in enumerate(every):
        files.append(tmp_path / str(number))
        files[-1].write_bytes(data)
    settings = {"LAB_RESULT": tmp_path / "result"}
    settings["LAB_GIVEN"] = json.dumps([str(path) for path in files])
    script = "load_moments.py"
    ended = labs.gdb(f"source tests/debugger/in_gdb/{script}", **settings)
    counted, *refusals = labs.result_of(script, settings, ended.stdout + ended.stderr)
    assert counted == len(whole)
    # An empty object has no members that could be wrong, and no moments; and it does not
    # matter which lab wrote the moments
    assert [
        refusal
        for refusal in refusals
        if refusal not in ("ValueError", "JSONDecodeError")
    ] == [
        *[0] * bad.count({}),
        len(whole),
        "UnicodeDecodeError",
    ]
    replaced(file, every[0])
    recordings.reseal(copied)
    assert "moments.json is damaged" in refused(copied, port)  # a person is told, too


def link(file: Path) -> None:
    elsewhere = file.with_name("elsewhere")
    file.rename(elsewhere)
    file.symlink_to(elsewhere)


def pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.once
@pytest.mark.parametrize("change", [link, pipe, folder])
@pytest.mark.parametrize("name", ["manifest.json", "disk.qcow2", "moments.json"])
def test_what_is_no_file(copied: Path, port: int, name: str, change: Any) -> None:
    change(copied / name)
    line = refused(copied, port)
    assert f"{copied / name} is no regular file" in line


@pytest.mark.once
def test_no_recording(port: int, tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nothing"):
        line = refused(folder, port)
        assert f"there is no recording in {folder}" in line
        assert re.search(
            rf": type make record RECORDING={folder}( KERNEL\S+)?\.$", line
        )


@pytest.mark.once
def test_what_to_type_next_is_the_whole_command() -> None:
    """With the same recording and kernel, as a shell takes them."""
    given = {"RECORDING": "/a b/c", "KERNEL": "6.1", "KERNEL_SRC": ""}
    source = ". scripts/guest.sh && make_command replay"
    ended = labs.run("bash", "-c", source, **given)
    assert ended.stdout == r"make replay RECORDING=/a\ b/c KERNEL=6.1"


@pytest.mark.once
def test_the_program_is_the_recording_s(copied: Path, port: int) -> None:
    assert "leave PROGRAM and ARGS unset" in refused(copied, port, PROGRAM="/bin/true")
    assert "leave PROGRAM and ARGS unset" in refused(copied, port, ARGS="1")
    given = labs.run("make", "replay", "MEM=512M", "SMP=2", RECORDING=copied, PORT=port)
    assert "leave MEM and SMP unset" in given.stderr and given.returncode


@pytest.mark.once
def test_another_kernel(copied: Path, port: int) -> None:
    other = {"name": "6.6.6", "release": "6.6.6", "build_id": "0123456789abcdef" * 2}
    recordings.reseal(copied, kernel=other)
    line = refused(copied, port)
    assert "another kernel, 6.6.6 with build id 0123456789ab" in line
    assert "KERNEL=" in line and "make record" in line


@pytest.mark.once
def test_another_machine(copied: Path, port: int) -> None:
    manifest = recordings.manifests.read(copied)
    command = [*manifest["qemu"]["command"], "-device", "virtio-rng-device"]
    recordings.reseal(copied, qemu=manifest["qemu"] | {"command": command})
    assert "another machine" in refused(copied, port)


@pytest.mark.once
def test_another_qemu(recording: Path, port: int, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    labs.script(
        tmp_path / "bin" / "qemu-system-x86_64",
        '[ "$1" != --version ] || echo QEMU emulator version 9.9.9',
    )
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    line = refused(recording, port, PATH=path)
    used = recordings.manifests.read(recording)["qemu"]["version"]
    assert re.match(r"QEMU emulator version \d", used)
    assert f"another QEMU, {used}" in line and "9.9.9" in line


@pytest.mark.once
def test_outside_a_replay(port: int) -> None:
    commands = ("lab timeline", "lab goto 1", "lab blame 0", "reverse-stepi")
    output = labs.debug(port, "source gdb/seginfo.py", *commands)
    assert output.count("This is no replay: type make record in a shell") == 3


@pytest.mark.once
def test_when_qemu_has_ended(recording: Path, port: int) -> None:
    with labs.session("scripts/replay.sh", RECORDING=recording, PORT=port) as person:
        person.prompt()
        person.gdb("source gdb/seginfo.py")
        assert "Moment 1" in person.gdb("lab goto 1")
        [qemu] = labs.guests(port)
        os.kill(qemu, signal.SIGKILL)
        person.gdb("stepi")
        for command in ("lab timeline", "lab goto 2", "lab blame 0"):
            assert "QEMU has ended, and the replay with it" in person.gdb(command)


# --- What cannot be recorded ---------------------------------------------------------


def at_work(folder: Path) -> list[int]:
    """Return the processes that name a folder or a file in it.

    A QEMU that records has no port by which labs.leaks() would find it."""
    return [
        pid
        for pid, cmdline in labs.processes("cmdline")
        if os.fsencode(folder) in cmdline and pid != os.getpid()
    ]


def not_recorded(folder: Path, port: int, **settings: Any) -> str:
    """Return why nothing was recorded. Nothing new is left, and what was there stays."""
    before = sorted(folder.parent.glob("*"))
    ended = recordings.record(folder, port, **settings)
    assert ended.returncode != 0, ended.stdout
    assert sorted(folder.parent.glob("*")) == before
    assert at_work(folder) == []
    return ended.stderr.splitlines()[-1]


@pytest.mark.once
def test_settings_that_cannot_be_recorded(port: int, tmp_path: Path) -> None:
    folder = tmp_path / "recording"
    assert "one processor only" in not_recorded(folder, port, GIVEN="SMP", SMP=2)
    assert "ACCEL=kvm" in not_recorded(folder, port, ACCEL="kvm")
    assert "LIMIT=soon" in not_recorded(folder, port, LIMIT="soon")
    assert "leave JSON unset" in not_recorded(folder, port, JSON=tmp_path / "result")
    folder.mkdir()
    (folder / "mine").write_text("not a recording")
    line = not_recorded(folder, port)
    assert f"RECORDING={folder} is there and is no recording" in line
    assert (folder / "mine").exists()
    line = not_recorded(Path("/proc/nowhere/recording"), port)
    assert "RECORDING=" in line and "Traceback" not in line


@pytest.mark.once
def test_the_makefile_tells_who_chose_the_processors() -> None:
    for words, given in (((), ""), (("SMP=2",), "SMP")):
        ended = labs.run("make", "-n", "record", *words)
        assert f"GIVEN={given} exec env" in ended.stdout, ended.stderr


@pytest.mark.once
def test_a_program_that_never_ends(port: int, tmp_path: Path) -> None:
    program = labs.script(tmp_path / "loop", "while :; do :; done")
    line = not_recorded(tmp_path / "recording", port, PROGRAM=program, LIMIT=4)
    assert "did not end within 4 s" in line and "LIMIT=" in line


@pytest.mark.once
@pytest.mark.parametrize("at", ["booted in", "indexing"])
def test_ctrl_c_leaves_what_was_there(
    copied: Path, port: int, tmp_path: Path, at: str
) -> None:
    program = labs.script(tmp_path / "waits", "sleep 1")
    before = stamps(copied)
    settings = {"RECORDING": copied, "PORT": port, "PROGRAM": program}
    with labs.session("scripts/record.sh", **settings) as person:
        person.wait(at)
        person.press("c")
        output, status = person.end()
    assert status != 0 and "recorded in" not in output
    assert labs.wait_until(lambda: not at_work(copied), 5), at_work(copied)
    assert stamps(copied) == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["copy", "waits"]


@pytest.mark.once
def test_qemu_is_asked_to_end(port: int, tmp_path: Path) -> None:
    """Once all is indexed. After gdb's kill, newer QEMUs are paused and stay for ever."""
    (tmp_path / "bin").mkdir()
    labs.script(
        tmp_path / "bin" / "qemu-system-x86_64",
        'case "$*" in',
        f'*" -no-shutdown "*) set -- "$@" -trace {ENDS} -D {tmp_path}/ends ;;',
        "esac",
        f'exec {labs.which("qemu-system-x86_64")} "$@"',
    )
    program = labs.script(tmp_path / "short", "echo as short as can be")
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    recordings.whole(tmp_path / "recording", port, PATH=path, PROGRAM=program)
    assert at_work(tmp_path) == []
    ends = (tmp_path / "ends").read_text().splitlines()
    # The end in the recording may be reported first, or the monitor may be faster
    quits = f"{ENDS} reason={QUIT}"
    assert ends.count(quits) == 1 and ends[-1] == quits, ends


@pytest.mark.once
def test_a_killed_one_leaves_nothing_for_long(port: int, tmp_path: Path) -> None:
    """The next make record removes what it left, but not what another one is making."""
    killed, busy = (
        tmp_path / f"recording.part.{name}" for name in ("killed", "is_not")
    )
    for folder in (killed, busy):
        folder.mkdir()
        (folder / "log").write_text("")
    program = labs.script(tmp_path / "loop", "while :; do :; done")
    held = os.open(busy, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    settings = {"PROGRAM": program, "LIMIT": 3}
    ended = recordings.record(tmp_path / "recording", port, **settings)
    os.close(held)
    assert "did not end within 3 s" in ended.stderr and "Killed" not in ended.stderr
    assert not killed.exists() and busy.exists()


@pytest.mark.once
def test_a_full_disk(port: int, tmp_path: Path) -> None:
    """There is room for the recording, but not for its checkpoints."""
    full = tmp_path / "full"
    full.mkdir()
    if labs.run("mount", "-t", "tmpfs", "-o", "size=150m", "none", full).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        ended = recordings.record(full / "recording", port)
        left = list(full.iterdir())
    finally:
        labs.run("umount", full)
    assert ended.returncode != 0 and "Traceback" not in ended.stderr, ended.stderr
    assert "[Errno" not in ended.stderr and left == []
    says = f"error: no room is left in {full}: make some, or name another folder"
    assert ended.stderr.splitlines()[-1].startswith(says), ended.stderr


@pytest.mark.once
def test_a_whole_recording_replaces_an_old_one(
    copied: Path, port: int, tmp_path: Path
) -> None:
    old = (copied / "manifest.json").read_text()
    program = labs.script(tmp_path / "short", "echo another program")
    recordings.whole(copied, port, PROGRAM=program)
    assert (copied / "manifest.json").read_text() != old
    assert "another program" in console(copied)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["copy", "short"]
