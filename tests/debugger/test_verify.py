# SPDX-License-Identifier: GPL-2.0-only
"""`make verify`: its JSON, its exit status, what it refuses, its end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable

import pytest

from support import labs

HIT = {"comm", "pid", "tid", "areas", "checks", "mismatches", "result", "verdict_ms"}


def refused(ended: subprocess.CompletedProcess[str]) -> str:
    """Return the sentence with which a script refuses."""
    assert ended.returncode != 0
    lines = ended.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), ended.stderr
    assert "Traceback" not in ended.stdout
    return lines[0]


def test_three_hits_of_the_demo_as_text_and_as_json(port: int, tmp_path: Path) -> None:
    file = tmp_path / "a result.json"
    ended = labs.verify(port, JSON=file)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    result = json.loads(file.read_text())
    stamp = {"schema", "version", "seginfo"}
    how = {"unreturned", "errors", "program_ended", "verified"}
    assert set(result) == stamp | {"kernel", "hits", "passed", "failed"} | how
    assert (result["passed"], result["failed"], result["verified"]) == (3, 0, True)
    assert f"Linux {result['kernel']} booted" in labs.console_log(port)
    hits = result["hits"]
    assert [set(hit) for hit in hits] == [HIT] * 3
    for hit in hits:
        assert (hit["comm"], hit["pid"]) == ("demo", hits[0]["tid"])
        assert hit["result"] == hit["tid"]
        assert hit["mismatches"] == []
        assert hit["checks"] > 2 * 83  # each field of the kernel's and the user's copy
        assert hit["areas"] > 10 and isinstance(hit["areas"], int)
        assert hit["verdict_ms"] > 0
    assert len({hit["tid"] for hit in hits}) == 3
    assert ended.stdout.count("PASS") == 3 and "WRONG" not in ended.stdout
    assert re.search(r"^seginfo: 3 hits, 3 passed, 0 failed", ended.stdout, re.M)
    for hit in hits:
        line = f"thread {hit['tid']}: {hit['areas']} areas, all as in /proc/self/maps"
        assert line in labs.console_log(port)


@pytest.mark.once
def test_json_to_a_place_that_is_not_there(port: int, tmp_path: Path) -> None:
    """It is reported before the run, which would be in vain."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    nowhere = (tmp_path / "none" / "result.json", f"{tmp_path / 'folder'}/")
    for place in (*nowhere, tmp_path, pipe):
        ended = labs.verify(port, JSON=place)
        assert ended.returncode != 0 and ended.stdout == ""
        assert ended.stderr.startswith(f"error: JSON={place} cannot be written: ")


@pytest.mark.once
def test_what_is_refused_ends_whoever_reads_it(port: int, tmp_path: Path) -> None:
    """With both outputs in one pipe, as in `make verify 2>&1 | tail`."""
    (tmp_path / "program").write_text("no program")
    ended = labs.run(
        *("bash", "-c", "scripts/verify.sh 2>&1 | cat"),
        PORT=port,
        PROGRAM=tmp_path / "program",
        limit=60,
    )
    assert "is neither an ELF program nor a script" in ended.stdout


@pytest.mark.once
def test_program_that_never_calls(port: int, tmp_path: Path) -> None:
    program = labs.script(tmp_path / "quiet", "true")
    ended = labs.verify(port, PROGRAM=program)
    assert ended.returncode != 0
    assert "the guest's program never called segment_info" in ended.stderr


@pytest.mark.once
def test_program_that_fails_after_good_hits(port: int, tmp_path: Path) -> None:
    program = labs.script(tmp_path / "fails", "demo >/dev/null", "exit 3")
    file = tmp_path / "result.json"
    ended = labs.verify(port, PROGRAM=program, JSON=file)
    assert "3 hits, 3 passed" in ended.stdout
    assert ended.returncode != 0
    assert "the guest's program ended with 3" in ended.stderr
    result = json.loads(file.read_text())
    assert (result["passed"], result["program_ended"]) == (3, 3)
    assert not result["verified"]


@pytest.mark.once
def test_a_panic_after_good_hits(port: int, tmp_path: Path) -> None:
    commands = ("demo >/dev/null", "echo c >/proc/sysrq-trigger")
    program = labs.script(tmp_path / "panics", *commands)
    file = tmp_path / "result.json"
    ended = labs.verify(port, PROGRAM=program, JSON=file)
    assert ended.returncode != 0 and "3 hits, 3 passed" in ended.stdout
    assert ended.stderr.splitlines()[-1].startswith(
        "error: the kernel panicked (sysrq triggered crash) before the guest's program"
    )
    result = json.loads(file.read_text())
    assert (result["passed"], result["program_ended"]) == (3, None)
    assert not result["verified"]


def test_a_bad_pointer_of_the_caller_is_no_mismatch(
    port: int, tmp_path: Path, program: Callable[[str], Path]
) -> None:
    file = tmp_path / "result.json"
    ended = labs.verify(port, PROGRAM=program("badpointer.c"), JSON=file)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    hits = json.loads(file.read_text())["hits"]
    assert [hit["result"] for hit in hits] == [-14, -14, hits[0]["tid"]]
    assert all(hit["mismatches"] == [] and hit["checks"] > 83 for hit in hits)
    assert ended.stdout.count("failed with EFAULT") == 2


@pytest.mark.parametrize("processors", [1, 4])
def test_other_numbers_of_processors(port: int, processors: int) -> None:
    ended = labs.verify(port, SMP=processors)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "3 hits, 3 passed" in ended.stdout


@pytest.mark.once
def test_four_labs_side_by_side() -> None:
    ports = [labs.free_port() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        ended = list(pool.map(labs.verify, ports))
    assert [run.returncode for run in ended] == [0] * 4, [run.stderr for run in ended]
    assert all("3 hits, 3 passed" in run.stdout for run in ended)
    assert [leak for number in ports for leak in labs.leaks(number)] == []


@pytest.mark.once
@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PORT", "0", "1 to 65535"),
        ("PORT", "65536", "1 to 65535"),
        ("PORT", "http", "1 to 65535"),
        ("SMP", "0", "1 to 8"),
        ("SMP", "9", "1 to 8"),
        ("SMP", "two", "1 to 8"),
        ("MEM", "256", "MEM=256M"),
        ("MEM", "63M", "64M to 3G"),
        ("MEM", "4G", "64M to 3G"),
        ("MEM", "18446744073709551744M", "MEM=256M"),
        ("MEM", "0256M", "MEM=256M"),
        ("ACCEL", "hax", "tcg or kvm"),
        ("PROGRAM", "/no/such/program", "static program"),
        ("PROGRAM", "/usr", "static program"),
        ("ARGS", "one two", "commas"),
        ("ARGS", 'quoted"', "commas"),
        ("LIMIT", "soon", "seconds"),
    ],
)
def test_bad_values_are_named(port: int, name: str, value: str, says: str) -> None:
    settings: dict[str, object] = {"port": port, name: value}
    if name == "PORT":
        ended = labs.run("scripts/verify.sh", PORT=value)
    else:
        ended = labs.verify(**settings)  # type: ignore[arg-type]
    refusal = refused(ended)
    assert f"{name}={value}" in refusal and says in refusal


@pytest.mark.once
def test_arguments_are_never_cut_off(port: int, tmp_path: Path) -> None:
    """The kernel would do so silently. The longest that are taken arrive whole."""
    shares = "ls -d /mnt/host_share && grep -c host_share /proc/mounts"
    program = labs.script(tmp_path / "says", 'echo "${#1} bytes"', shares)

    def boot(size: int) -> subprocess.CompletedProcess[str]:
        settings = {"PORT": port, "PROGRAM": program, "ARGS": "x" * size}
        return labs.run("scripts/boot.sh", **settings)

    refusal = refused(boot(3000))
    over = re.search(r"ARGS is (\d+) bytes too long", refusal)
    assert over, refusal
    most = 3000 - int(over[1])
    assert "ARGS is 1 byte too long" in refused(boot(most + 1))
    ended = boot(most)
    assert ended.returncode == 0 and f"{most} bytes" in ended.stdout, ended.stderr


@pytest.mark.once
@pytest.mark.parametrize("program", ["/bin/ls", "/etc/passwd"])
def test_program_that_cannot_run_in_the_guest(port: int, program: str) -> None:
    ended = labs.verify(port, PROGRAM=program)
    assert ended.returncode != 0 and "static" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.once
def test_kvm_is_used_or_refused_with_a_reason(port: int) -> None:
    ended = labs.run("scripts/verify.sh", PORT=port, ACCEL="kvm", limit=30)
    if ended.returncode == 0:
        assert "3 hits, 3 passed" in ended.stdout
        pytest.skip("KVM works here, so it is not refused")
    assert "ACCEL" in refused(ended)


@pytest.mark.once
@pytest.mark.parametrize(
    ("does", "says"),
    [
        ("echo 'assertion failed' >&2; exit 134", "QEMU failed before"),
        ("sleep 1000", "the guest ran no instruction within 5 s"),
    ],
)
def test_why_kvm_does_not_work(port: int, tmp_path: Path, does: str, says: str) -> None:
    labs.script(tmp_path / "qemu-system-x86_64", does)
    probe = ". scripts/guest.sh; KVM=/dev/null; check_settings; start_lab; check_kvm"
    settings = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "ACCEL": "kvm"}
    refusal = refused(labs.run("bash", "-c", probe, PORT=port, **settings))
    assert refusal.startswith(f"error: ACCEL=kvm: {says}")
    assert ("(assertion failed)" in refusal) == ("assertion" in does)


@pytest.mark.once
@pytest.mark.parametrize(
    ("commands", "says"),
    [
        ("echo fine", None),
        ("exit 3", "the guest's program ended with 3"),
        ("echo c >/proc/sysrq-trigger", "the kernel panicked (sysrq triggered crash)"),
        ("reboot -f", "the guest ended before its program"),
    ],
)
def test_boot_tells_how_its_commands_ended(
    port: int, commands: str, says: str | None
) -> None:
    boot = 'scripts/boot.sh <<<"$COMMANDS"'
    ended = labs.run("bash", "-c", boot, PORT=port, COMMANDS=commands)
    assert (ended.returncode == 0) == (says is None), ended.stdout
    assert ended.stderr.startswith(f"error: {says}" if says else ""), ended.stderr


@pytest.mark.once
def test_a_second_lab_of_the_same_number(port: int, tmp_path: Path) -> None:
    script = start_and_wait_for_guest(port, tmp_path)
    refusal = refused(labs.verify(port))
    assert (
        f"a lab with PORT={port} is running" in refusal
        and f"PORT={port + 1}" in refusal
    )
    assert labs.guests(port)
    os.killpg(script.pid, signal.SIGTERM)
    assert script.wait(labs.LIMIT) != 0


@pytest.mark.once
def test_limit_ends_everything(port: int, tmp_path: Path) -> None:
    program = labs.script(tmp_path / "slow", "sleep 1000")
    refusal = refused(labs.verify(port, PROGRAM=program, LIMIT=4))
    assert "did not end within 4 s" in refusal and "LIMIT" in refusal


def start_and_wait_for_guest(port: int, tmp_path: Path) -> subprocess.Popen[bytes]:
    """Start a verify that never ends by itself, and wait until its guest runs."""
    program = labs.script(tmp_path / "slow", "echo here", "sleep 1000")
    script = subprocess.Popen(
        [labs.ROOT / "scripts" / "verify.sh"],
        env=labs.environment(PORT=port, PROGRAM=program),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    log = labs.BUILD / "run" / str(port) / "console.log"
    assert labs.wait_until(lambda: log.exists() and "here" in labs.console_log(port))
    assert labs.guests(port)
    return script


def gdbs(port: int) -> list[Path]:
    """Return the gdbs of a lab, by their environment."""
    mark = f"LAB_SOCKET={labs.gdb_socket(port)}".encode()
    return [
        Path(f"/proc/{pid}")
        for pid, environ in labs.processes("environ")
        if mark in environ.split(b"\0")
    ]


@pytest.mark.once
def test_a_qemu_that_is_killed(port: int, tmp_path: Path) -> None:
    """That is reported, and not that gdb or the program has ended."""
    program = labs.script(tmp_path / "slow", "echo here", "sleep 1000")
    command = [labs.ROOT / "scripts" / "verify.sh"]
    settings = labs.environment(PORT=port, PROGRAM=program)
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env=settings, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe
    ) as script:
        log = labs.BUILD / "run" / str(port) / "console.log"
        started = lambda: log.exists() and "here" in labs.console_log(port)
        assert labs.wait_until(started)
        [qemu] = labs.guests(port)
        os.kill(qemu, signal.SIGKILL)
        _, errors = script.communicate(timeout=labs.LIMIT)
    assert script.returncode == 1
    last = errors.decode().splitlines()[-1]
    assert "QEMU was killed by SIGKILL, and the guest with it" in last


@pytest.mark.once
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything(
    port: int, tmp_path: Path, how: signal.Signals
) -> None:
    script = start_and_wait_for_guest(port, tmp_path)
    os.killpg(script.pid, how)
    assert script.wait(labs.LIMIT) != 0
    assert labs.wait_until(lambda: not gdbs(port))


@pytest.mark.once
def test_sigkill_leaves_no_qemu_and_the_port_can_be_used(
    port: int, tmp_path: Path
) -> None:
    script = start_and_wait_for_guest(port, tmp_path)
    script.kill()
    script.wait(labs.LIMIT)
    assert labs.wait_until(lambda: not labs.guests(port) and not gdbs(port))
    ended = labs.verify(port)
    assert ended.returncode == 0, ended.stderr
