# SPDX-License-Identifier: GPL-2.0-only
"""Start labs, QEMUs and gdbs: shared by the tests that need a guest.

Each lab and QEMU gets a PORT from the port fixture (or from free_port()), and whatever
belongs to it is found by that number: see leaks().
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, NamedTuple

import pexpect

from support import programs
from support.programs import wait_until

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("BUILD") or ROOT / "build").resolve()
USER = ROOT / "build" / "user"  # the guest's programs, where the Makefile puts them
IN_GDB = ROOT / "tests" / "debugger" / "in_gdb"
LIMIT = 300  # seconds; on a busy machine the longest trace takes a quarter of it

# Variables that `make test` exports, and those that a calling make sets.
OURS = ("PROGRAM", "ARGS", "ACCEL", "SMP", "MEM", "PORT", "JSON", "LIMIT", "V", "T")
OURS += ("RECORDING", "GIVEN", "GDB_TCP")
MAKES = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MAKE_TERMOUT")

ports: dict[int, str] = {}  # all that this session has taken, and the test of each


def free_port() -> int:
    """Take a number that no lab uses and that is a free port of 127.0.0.1.

    It is below the ephemeral ports, and no other pytest on this machine gets it.
    """
    for port in _numbers:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if not run_folder(port).exists():
            ports[port] = os.environ.get("PYTEST_CURRENT_TEST", "no test")
            return port
    raise AssertionError("no number is left for a lab")


def numbers_of_ours() -> Iterator[int]:
    """Yield numbers from 20000 on that are reserved for this process as long as it lives.

    They come in blocks of a hundred. The owner of a block has bound an abstract unix
    socket, which the kernel allows to one process and releases however that ends.
    """
    for block in random.sample(range(200, 320), 120):
        held = socket.socket(socket.AF_UNIX)
        try:
            held.bind(f"\0seginfo-test-ports-{block}")
        except OSError:
            held.close()
            continue
        _held.append(held)
        yield from range(block * 100, block * 100 + 100)


_held: list[socket.socket] = []
_numbers = numbers_of_ours()


def environment(**settings: Any) -> dict[str, str]:
    """Return the environment for a script or a make; KERNEL and KERNEL_SRC are kept."""
    env = {k: v for k, v in os.environ.items() if k not in (*OURS, *MAKES)}
    env.update({name: str(value) for name, value in settings.items()})
    return env


def run(
    *command: object, limit: float = LIMIT, **settings: Any
) -> subprocess.CompletedProcess[str]:
    """Run a program of the project to its end; settings go into its environment."""
    return programs.run(command, ROOT, environment(**settings), limit)


def which(program: str) -> str:
    """Return the path of a program that must be installed."""
    path = shutil.which(program)
    assert path, f"{program} is not installed: type make setup-tests"
    return path


def kernel_dir() -> Path:
    """The selected kernel's folder, as the scripts find it."""
    found = run("bash", "-c", ". scripts/lib.sh && kernel_dir")
    assert found.returncode == 0, found.stderr
    return Path(found.stdout.strip())


def run_folder(port: int) -> Path:
    """Return the folder of a lab's RAM file and sockets, see scripts/lab-folder.sh."""
    return Path(f"/dev/shm/seginfo-lab-{os.getuid()}-{port}")


def gdb_socket(port: int) -> Path:
    """Return the socket by which gdb reaches the stub of a lab, or of qemu()."""
    return run_folder(port) / "gdb"


def console_log(port: int) -> str:
    """Return the output of this lab's guest so far."""
    log = BUILD / "run" / str(port) / "console.log"
    return log.read_text(errors="replace").replace("\r", "")


# --- The lab's own scripts ----------------------------------------------------


def verify(port: int, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Run scripts/verify.sh, the recipe of `make verify`."""
    return run("scripts/verify.sh", PORT=port, **settings)


def debug(port: int, *commands: str, **settings: Any) -> str:
    """Run scripts/debug.sh with gdb commands on its standard input.

    Returns what it printed, errors included.
    """
    ended = subprocess.run(
        [ROOT / "scripts" / "debug.sh"],
        cwd=ROOT,
        env=environment(PORT=port, **settings),
        input="\n".join(commands) + "\n",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=LIMIT,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


TO_A_HIT = ("source gdb/seginfo.py", "continue")


def inside(
    script: str,
    port: int,
    tmp: Path,
    given: object = None,
    before: tuple[str, ...] = TO_A_HIT,
    **settings: Any,
) -> Any:
    """Run tests/debugger/in_gdb/SCRIPT in the gdb of a lab, and return its result.

    :param given: what the script finds, as JSON, in $LAB_GIVEN
    :param before: gdb commands to run first

    The script writes its result as JSON to the file $LAB_RESULT.
    """
    settings |= {"LAB_GIVEN": json.dumps(given), "LAB_RESULT": tmp / f"{port}.json"}
    output = debug(port, *before, f"source tests/debugger/in_gdb/{script}", **settings)
    return result_of(script, settings, output)


def result_of(script: str, settings: dict[str, Any], output: str) -> Any:
    """Read the result of a script in gdb, and remove its file."""
    file = settings["LAB_RESULT"]
    assert file.exists(), f"{script} did not get to its end:\n{output}"
    result = json.loads(file.read_text())
    file.unlink()
    return result


class Session:
    """A person at a terminal: a program on a pty of its own."""

    PROMPT = re.compile(r"(?<! )\(gdb\) ")  # after a space it is part of a help text
    GIVE_UP = re.compile(
        r"not responding to (interrupt requests|GDB commands)\.\s+Stop debugging it\? "
        r"\(y or n\) "
    )
    CODES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[=>]|\r")

    def __init__(self, *command: object, **settings: Any) -> None:
        program = str(command[0])
        self.child = pexpect.spawn(
            str(ROOT / program) if "/" in program else program,
            [str(word) for word in command[1:]],
            cwd=str(ROOT),
            env=environment(TERM="xterm-256color", **settings),
            dimensions=(60, 160),
            encoding="utf-8",
            codec_errors="replace",
            timeout=LIMIT / 2,
        )

    @classmethod
    def clean(cls, text: str) -> str:
        """Return a text without colours and other terminal codes."""
        return cls.CODES.sub("", text)

    def wait(self, text: str | re.Pattern[str]) -> str:
        """Wait until the program prints text, and return what it printed before that.

        The text must be in one colour, since codes would separate its parts.
        """
        try:
            self.child.expect(re.escape(text) if isinstance(text, str) else text)
        except (pexpect.TIMEOUT, pexpect.EOF) as problem:
            output = self.clean(str(self.child.before))
            kind = type(problem).__name__
            raise AssertionError(f"{kind}, no {text!r} in:\n{output}") from None
        return self.clean(str(self.child.before))

    def prompt(self) -> str:
        """Wait for gdb's prompt, and return the output before it."""
        return self.wait(self.PROMPT)

    def type(self, text: str) -> None:
        """Type a line without waiting."""
        self.child.sendline(text)

    def gdb(self, command: str) -> str:
        """Type a gdb command, and return its output without the echo."""
        self.type(command)
        return self.prompt().split("\n", 1)[-1]

    def press(self, key: str) -> None:
        """Press Ctrl and a key."""
        self.child.sendcontrol(key)

    def end(self) -> tuple[str, int]:
        """Wait for the program's end, and return its last output and its exit status.

        The status is the negative number of the signal if a signal ended it.
        """
        self.child.expect(pexpect.EOF)
        self.child.close()
        status = self.child.exitstatus
        if status is None:
            status = -(self.child.signalstatus or 0)
        return self.clean(str(self.child.before)), status

    def interrupt(self) -> str:
        """Press Ctrl-C until gdb prompts, and return the output before the prompt.

        QEMU ignores a Ctrl-C that comes while it is stopped at a breakpoint that gdb
        steps over, so a person may have to press again. If QEMU is just slow, gdb then
        asks whether to give up waiting.
        """
        output, answers = "", [self.PROMPT, self.GIVE_UP, pexpect.TIMEOUT]
        for _ in range(30):
            self.press("c")
            waited = self.child.expect(answers, timeout=1)
            if waited == 1:
                output += str(self.child.before)
                self.type("n")
                waited = self.child.expect(answers, timeout=1)
            if waited == 0:
                return self.clean(output + str(self.child.before))
        raise AssertionError("gdb does not react to Ctrl-C")

    def hang_up(self) -> None:
        """Close the terminal's window."""
        self.child.ptyproc.fileobj.close()

    def close(self) -> None:
        """End the program, whatever it does; a lab gets time to remove its files."""
        if self.child.isalive():
            os.kill(self.child.pid, signal.SIGHUP)
            wait_until(lambda: not self.child.isalive(), 10)
        self.child.close(force=True)


@contextmanager
def session(*command: object, **settings: Any) -> Iterator[Session]:
    """A Session that ends with the block."""
    person = Session(*command, **settings)
    try:
        yield person
    finally:
        person.close()


# --- QEMU and gdb started by hand, without the lab's scripts -------------------


def guest(kernel: Path, image: Path, words: str, *options: str) -> list[str]:
    """Return the command line of a QEMU with a guest, from set_guest in scripts/machine.sh.

    :param options: come last, so they override the machine, memory, processors
    """
    machine = "" if "-machine" in options else '-machine "$MICROVM"'
    script = f""". scripts/guest.sh
        KERNEL_IMAGE=$1 INITRAMFS=$2 WORDS="$BASE_WORDS $TCG_WORDS $3"
        set_guest {machine}
        printf '%s\\0' "${{GUEST[@]}}"
    """
    printed = run("bash", "-c", script, "bash", kernel, image, words)
    assert printed.returncode == 0, printed.stderr
    return [*printed.stdout.split("\0")[:-1], *options]


@contextmanager
def private_folder(port: int) -> Iterator[Path]:
    """Make a folder like a lab's. It is locked, since any lab removes unlocked ones."""
    folder = run_folder(port)
    folder.mkdir(mode=0o700)
    held = os.open(folder, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
        os.close(held)


@contextmanager
def qemu(
    port: int, kernel: Path, words: str, *options: str, paused: bool = True
) -> Iterator[Path]:
    """Run a guest() without a RAM file but with a relay, and yield its console's file."""
    log = run_folder(port) / "console.log"
    stub = run_folder(port) / "stub"
    own = ["-serial", f"file:{log}", "-gdb", f"unix:{stub},server=on,wait=off"]
    own += ["-S"] if paused else []
    command = guest(kernel, BUILD / "initramfs.cpio", words, *own, *options)
    bring = ["/usr/bin/python3", "-I", ROOT / "scripts" / "relay.py"]
    bring += [stub, gdb_socket(port)]
    with private_folder(port):
        started = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        relay = subprocess.Popen(bring, stdout=subprocess.PIPE, text=True)
        try:
            assert relay.stdout and relay.stdout.readline() == "ready\n"
            wait_until(lambda: is_listening(stub) or started.poll() is not None)
            assert started.poll() is None, started.stderr and started.stderr.read()
            yield log
        finally:
            for process in (started, relay):
                process.kill()
                process.communicate()


def gdb(
    *commands: str, program: Path | str | None = None, **settings: Any
) -> subprocess.CompletedProcess[str]:
    """Run a bare gdb with commands and no start-up files."""
    words: list[object] = ["gdb", "-nx", "-q", "-batch", "-iex", "set auto-load no"]
    if program is not None and Path(program).name == "vmlinux":  # as guest.sh does
        index = Path(program).parent / "gdb-index"
        words += ["-iex", f"set index-cache directory {index}"]
        words += ["-iex", "set index-cache enabled on"]
        commands = ("set index-cache enabled off", *commands)
    for command in ("set pagination off", *commands):
        words += ["-ex", command]
    return run(*words, *([program] if program else []), **settings)


def inside_by_hand(
    script: str, port: int, program: Path, tmp: Path, before: tuple[str, ...] = TO_A_HIT
) -> Any:
    """Like inside(), in a bare gdb connected to a running QEMU."""
    settings = {"LAB_RESULT": tmp / f"{port}.json"}
    connect = f"target remote {gdb_socket(port)}"
    source = f"source tests/debugger/in_gdb/{script}"
    ended = gdb(connect, *before, source, program=program, **settings)
    return result_of(script, settings, ended.stdout + ended.stderr)


def shown(name: bytes) -> str:
    """Return a name of the guest as the lab prints it, whatever its bytes."""
    text = ""
    for letter in name.decode("utf-8", "surrogateescape"):
        if letter == "\\":
            text += r"\\"
        elif letter.isprintable() and letter not in "\u3164\ufe0f":  # invisible
            text += letter
        elif "\udc80" <= letter <= "\udcff":  # not UTF-8
            text += rf"\x{ord(letter) & 0xFF:02x}"
        elif "\x80" <= letter < "\u0100":
            text += rf"\u{ord(letter):04x}"
        else:
            text += letter.encode("unicode_escape").decode()
    return text


# --- Programs for the guest ----------------------------------------------------


def script(path: Path, *lines: str) -> Path:
    """Write a shell script to run in the guest."""
    path.write_text("\n".join(("#!/bin/sh", *lines)) + "\n")
    path.chmod(0o755)
    return path


def compile_c(source: str, folder: Path, *options: str) -> Path:
    """Compile a program of tests/guest/programs, statically unless told otherwise."""
    program = folder / Path(source).stem
    flags = options or ("-static", "-pthread")
    command = ["gcc", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE"]
    command += [*flags, f"-I{ROOT}/kernel", f"-I{ROOT}/user", "-o", str(program)]
    done = run(*command, ROOT / "tests" / "guest" / "programs" / source, *uses(source))
    assert done.returncode == 0, done.stderr
    return program


def with_files(source: str, folder: Path, files: dict[str, Path]) -> Path:
    """Compile a program of tests/guest/programs that holds files, by their path in the guest.

    It includes files.h, whose make_files() writes them.
    """
    listing = folder / f"{Path(source).stem}-files.s"
    with listing.open("w", encoding="ascii") as out:
        for path, file in files.items():
            out.write(f'.asciz "{path}"\n.quad {file.stat().st_size}\n')
            out.write(f'.incbin "{file}"\n')
    named = f'-DFILES="{listing}"'
    return compile_c(source, folder, "-static", "-pthread", named)


def uses(source: str) -> list[Path]:
    """Return the sources that a program of tests/guest/programs is linked with."""
    text = (ROOT / "tests" / "guest" / "programs" / source).read_text()
    return [ROOT / "user" / "lab.c"] if '#include "lab.h"' in text else []


# --- Processes -----------------------------------------------------------------


class UnixSocket(NamedTuple):
    """A row of /proc/net/unix."""

    is_listening: bool
    is_connected: bool
    inode: str
    path: str  # "" if it has none


def unix_sockets() -> list[UnixSocket]:
    """List all unix sockets of this machine without connecting: that could stop a guest."""
    rows = Path("/proc/net/unix").read_text().splitlines()[1:]
    return [
        UnixSocket(flags == "00010000", state == "03", inode, "".join(path))
        for _, _, _, flags, _, state, inode, *path in (
            row.split(None, 7) for row in rows
        )
    ]


def is_listening(path: Path) -> bool:
    """Does somebody listen on this socket?"""
    return any(row.is_listening and row.path == str(path) for row in unix_sockets())


def processes(file: str) -> Iterator[tuple[int, bytes]]:
    """Yield each process id with what is in a file of /proc/PID, if it can be read.

    Path.glob() must not look for the file itself: it fails if a process ends meanwhile.
    """
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            data = (entry / file).read_bytes()
        except OSError:
            continue  # it has ended, or is somebody else's
        yield int(entry.name), data


def guests(port: int) -> list[int]:
    """Return the process ids of the QEMUs that use a lab's private folder."""
    found = []
    for pid, cmdline in processes("cmdline"):
        words = cmdline.split(b"\0")
        folder = os.fsencode(f"{run_folder(port)}/")
        if b"qemu-system" in words[0] and any(folder in word for word in words):
            found.append(pid)
    return found


def leaks(port: int) -> list[str]:
    """Remove what is left of the labs and QEMUs on a port, and return what it was."""
    wait_until(lambda: not guests(port) and not run_folder(port).exists(), 10)
    left = [f"QEMU {pid} on port {port}, of {ports[port]}" for pid in guests(port)]
    for pid in guests(port):
        os.kill(pid, signal.SIGKILL)
    if run_folder(port).exists():
        left.append(str(run_folder(port)))
        shutil.rmtree(run_folder(port))
    return left


def remove_logs() -> None:
    """Remove what the labs of this session left in build/run."""
    for port in ports:
        shutil.rmtree(BUILD / "run" / str(port), ignore_errors=True)
