# SPDX-License-Identifier: GPL-2.0-only
"""Compare what the lab says with what /proc says, at the same stopped moment.

A Moment is a lab whose guest runs user/witness.c with some scenes, programs of
tests/guest/programs/scene_*.c, and is stopped in the witness's call. All processes of
the scenes have been asleep or stopped since before the witness read /proc, so whatever
the lab says about them can be compared with /proc, entry for entry:

    def test_areas(moments):
        moment = moments()
        pid = moment.pid("static")
        rows = moment.table(f"vmas {pid}")
        maps = moment.proc(pid, "maps").splitlines()

All tests of a session that ask for the same scenes share one boot. So ask for few
different sets, at best for ALL.

These cannot be compared, because they change while the witness reads:
  * the witness itself (moment.witness): it runs, and its memory grows;
  * states, times and names of kernel threads: they run when they have work, new
    ones start and idle ones end, and /proc appends its work to a worker's name
    ("kworker/0:1-events"), which its comm does not have. Pids and flags of those in
    both lists can be compared.

Counters of the whole kernel (meminfo, zoneinfo, buddyinfo, pagetypeinfo, slabinfo,
vmallocinfo, kpageflags, kpagecount) can be compared: the witness reads them last, until
they are the same twice.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import struct
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from support import guest_modules, labs
from support.reports import parts

# Every scene but the large ones: many=20000, crowd=1000, pages=20000
ALL = (
    "static",
    "static-pie",
    "dynamic",
    "dynamic-pie",
    "threads",
    "huge",
    "memory",
    "mounts",
    "family",
    "exec",
    "legacy",
    "files",
    "names",
)
LINKED = {
    "static": ("-static", "-no-pie"),
    "static-pie": ("-static-pie", "-fPIE"),
    "dynamic": ("-no-pie",),
    "dynamic-pie": ("-pie", "-fPIE"),
}
LIBRARIES = ("/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6")
RECORD = struct.Struct("<IiQ")  # struct record of user/witness.c
LIMIT = 300


class Snapshot(dict[str, bytes]):
    """The contents of files, and the targets of links, by path.

    For example "/proc/61/maps", "/proc/61/fd/3", "/proc/61/task/62/stack". pagemap is
    split by area: "/proc/61/pagemap@401000" has the words of the first 4,096 pages of
    the area at 0x401000. errors has the errno of each file that could not be read.
    """

    def __init__(self, records: bytes) -> None:
        super().__init__()
        self.errors: dict[str, int] = {}
        at = 0
        while at < len(records):
            length, error, size = RECORD.unpack_from(records, at)
            at += RECORD.size
            name = records[at : at + length].decode()
            at += length
            self[name] = records[at : at + size]
            if error:
                self.errors[name] = error
            at = (at + size + 7) & -8


class Moment:
    """A stopped lab that can be asked anything, any number of times."""

    def __init__(self, folder: Path, port: int, *scenes: str, **settings: object):
        self.folder = folder
        self.port = port
        self.scenes = scenes
        self.programs = folder / "programs"  # the scenes, with debug info
        self._build = folder / "build"
        self._asked = 0
        self._make_image()
        env = labs.environment(
            BUILD=self._build,
            PORT=port,
            PROGRAM=labs.USER / "witness",
            ARGS=",".join(scenes),
            LAB_GIVEN=folder / "records",
            **settings,
        )
        self._log = open(folder / "gdb.log", "w", encoding="utf-8")
        self._gdb = subprocess.Popen(
            [labs.ROOT / "scripts" / "debug.sh"],
            cwd=labs.ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            self._type("source gdb/seginfo.py")
            self._type("seginfo brief")
            self._type("continue")  # to the first call, which only warms up
            self._type("continue")
            self._type("source tests/debugger/in_gdb/testify.py")
            self.gdb("echo")
            records = folder / "records"
            assert records.exists(), f"the witness made no call:\n{self.log()}"
            self.snapshot = Snapshot(records.read_bytes())
        except BaseException:
            self.close()
            raise

    # --- What the kernel says -------------------------------------------------

    def pid(self, scene: str, comm: str = "") -> int:
        """Return the process id of a scene ("many=20000"), or of a descendant of it.

        :param comm: the descendant's name, before the kernel escapes it: "line\\nbreak"
        """
        first = int(self.snapshot[f"scene {scene}"])
        if not comm:
            return first
        family = {first}
        for pid in self.pids():
            if self.ppid(pid) in family:
                family.add(pid)
                if self.comm(pid) == comm.encode():
                    return pid
        raise KeyError(f"scene {scene} has no process called {comm}")

    def pids(self) -> list[int]:
        """All processes, in order of their ids."""
        found = (re.fullmatch(r"/proc/(\d+)/stat", name) for name in self.snapshot)
        return sorted(int(match.group(1)) for match in found if match)

    def tids(self, pid: int) -> list[int]:
        """The threads of a process."""
        pattern = re.compile(rf"/proc/{pid}/task/(\d+)/stat")
        found = (pattern.fullmatch(name) for name in self.snapshot)
        return sorted(int(match.group(1)) for match in found if match)

    def users(self) -> list[int]:
        """The processes that can be compared: all but the kernel's and the witness."""
        ours = [pid for pid in self.pids() if pid != 2 and self.ppid(pid) != 2]
        return [pid for pid in ours if pid != self.witness]

    @property
    def witness(self) -> int:
        """The process id of the witness, the parent of all scenes."""
        return self.ppid(self.pid(self.scenes[0]))

    def proc(self, pid: int, name: str) -> str:
        """A file of /proc/PID as text, with surrogates for bytes that are not UTF-8."""
        return self.snapshot[f"/proc/{pid}/{name}"].decode("utf-8", "surrogateescape")

    def comm(self, pid: int) -> bytes:
        """The name of a process, not escaped."""
        return self.snapshot[f"/proc/{pid}/comm"].removesuffix(b"\n")

    def stat(self, pid: int, tid: int | None = None) -> list[str]:
        """The fields of stat from 1 on, as proc(5) counts them; [0] is the line."""
        name = f"task/{tid}/stat" if tid else "stat"
        line = self.proc(pid, name)
        start, end = line.index("("), line.rindex(")")
        return [
            line,
            line[: start - 1],
            line[start + 1 : end],
            *line[end + 2 :].split(),
        ]

    def status(self, pid: int, tid: int | None = None) -> dict[str, str]:
        """The lines of status, by name."""
        name = f"task/{tid}/status" if tid else "status"
        lines = self.proc(pid, name).split("\n")
        return {k: v.strip() for k, _, v in (line.partition(":") for line in lines)}

    def ppid(self, pid: int) -> int:
        """The parent of a process."""
        return int(self.stat(pid)[4])

    def pagemap(self, pid: int) -> dict[int, int]:
        """The words of pagemap by address, for at most 4,096 pages of each area."""
        found = {}
        prefix = f"/proc/{pid}/pagemap@"
        for name, words in self.snapshot.items():
            if name.startswith(prefix):
                start = int(name.removeprefix(prefix), 16)
                for i, (word,) in enumerate(struct.iter_unpack("<Q", words)):
                    found[start + 4096 * i] = word
        return found

    # --- What the lab says ----------------------------------------------------

    def gdb(self, command: str, limit: float = LIMIT) -> str:
        """Run a gdb command at this moment, and return its output.

        An error fails the test; for expected errors see refused().
        """
        output, error = self.try_gdb(command, limit)
        assert not error, f"{command}: {error}\n{output}"
        return output

    def try_gdb(self, command: str, limit: float = LIMIT) -> tuple[str, str]:
        """Run a gdb command, and return its output and its error, "" if none."""
        return self.try_all([command], limit)[0]

    def try_all(
        self, commands: list[str], limit: float = LIMIT
    ) -> list[tuple[str, str]]:
        """Run gdb commands one after the other, whether they fail or not.

        :param limit: seconds; a command that takes longer fails the test
        """
        self._asked += 1
        file = self.folder / f"answer.{self._asked}"
        where = file.with_suffix(f"{file.suffix}.where")
        self._type(f"python answer({commands!r}, {str(file)!r}, {limit})")
        end = time.monotonic() + limit + 5
        while not file.exists():
            assert self._gdb.poll() is None, f"gdb has ended:\n{self.log()}"
            assert "Error while executing" not in self.log(), self.log()
            if time.monotonic() > end:
                os.kill(int((self.folder / "pid").read_text()), signal.SIGINT)
                raise AssertionError(f"{commands} do not end:\n{where.read_text()}")
            time.sleep(0.005)
        replies = json.loads(file.read_text())
        file.unlink()
        where.unlink()
        return [(reply["output"], reply["error"]) for reply in replies]

    def refused(self, command: str) -> str:
        """Run a gdb command that must fail, and return its error."""
        output, error = self.try_gdb(command)
        assert error and "Traceback" not in error, f"{command}: {error}\n{output}"
        return error

    def lab(self, command: str) -> list[Any]:
        """Run `lab COMMAND --json`, and return the parts of its report."""
        return parts(self.gdb(f"lab {command} --json"))

    def table(self, command: str, number: int = 0) -> list[dict[str, Any]]:
        """Return the rows of one table of a report, which must not be broken off."""
        parts = self.lab(command)
        tables = [part for part in parts if isinstance(part, dict) and "rows" in part]
        table = tables[number]
        assert table["broken"] == "", table["broken"]
        return table["rows"]

    # --- How it is made -------------------------------------------------------

    def _make_image(self) -> None:
        """Make a BUILD folder like the real one, but with the scenes in its image."""
        self._build.mkdir(parents=True)
        for entry in labs.BUILD.iterdir():
            if entry.name not in ("initramfs.cpio", "run", "share"):
                (self._build / entry.name).symlink_to(entry)
        (self._build / "share").mkdir()
        (self._build / "share" / "file").write_text("a file of the host\n" * 1000)
        self.programs.mkdir()
        root = self.folder / "root"
        (root / "scenes").mkdir(parents=True)
        for words in self.scenes:
            name = words.partition("=")[0]
            program = compiled(name, self.programs)
            subprocess.run(["strip", "-o", root / "scenes" / name, program], check=True)
        if any(name in self.scenes for name in ("dynamic", "dynamic-pie")):
            for library in LIBRARIES:
                (root / library[1:]).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(library, root / library[1:])
        names = sorted(str(path.relative_to(root)) for path in root.rglob("*"))
        archive = subprocess.run(
            ["cpio", "--create", "--format=newc", "--owner=+0:+0", "--quiet"],
            cwd=root,
            input="\n".join(names).encode(),
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        image = (labs.BUILD / "initramfs.cpio").read_bytes()
        (self._build / "initramfs.cpio").write_bytes(image + archive)

    def _type(self, line: str) -> None:
        assert self._gdb.stdin is not None
        self._gdb.stdin.write(line + "\n")
        self._gdb.stdin.flush()

    def log(self) -> str:
        """The output of gdb and of the guest."""
        console = self._build / "run" / str(self.port) / "console.log"
        output = (self.folder / "gdb.log").read_text(errors="replace")
        return output + (
            console.read_text(errors="replace") if console.exists() else ""
        )

    def close(self) -> None:
        """End the lab."""
        try:
            self._type("kill")
            self._type("quit")
            self._gdb.communicate(timeout=30)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self._gdb.kill()
            self._gdb.communicate()
        self._log.close()


def compiled(name: str, folder: Path) -> Path:
    """Compile the program of a scene, with debug info."""
    program = folder / name
    if program.exists():
        return program
    source = f"scene_{'sleeper' if name in LINKED else name}.c"
    link = LINKED.get(name, ("-static", "-pthread"))
    if name == "modules":
        hello, napper = guest_modules.build("hello", folder), guest_modules.build(
            "napper", folder, "hello"
        )
        guest_modules.carrier(source, folder, hello, napper).rename(program)
    else:
        labs.compile_c(source, folder, *link).rename(program)
    return program


def testify(
    folder: Path, port: int, scenes: tuple[str, ...], commands: tuple[str, ...]
) -> tuple[Snapshot, dict[str, list[Any]]]:
    """Boot once, and return the snapshot and the parts of each `lab COMMAND --json`."""
    moment = Moment(folder, port, *scenes)
    try:
        return moment.snapshot, {command: moment.lab(command) for command in commands}
    finally:
        moment.close()


@pytest.fixture(scope="session")
def moments(
    tmp_path_factory: pytest.TempPathFactory, nothing_left_behind: None
) -> Iterator[Callable[..., Moment]]:
    """A function that returns the Moment with some scenes (ALL if none), made only once.

    It depends on nothing_left_behind, so that the labs end before that looks for leaks.
    """
    made: dict[tuple, Moment] = {}

    def moment(*scenes: str, **settings: object) -> Moment:
        key = (scenes or ALL, *sorted(settings.items()))
        if key not in made:
            folder = tmp_path_factory.mktemp("moment")
            made[key] = Moment(folder, labs.free_port(), *(scenes or ALL), **settings)
        return made[key]

    yield moment
    for stopped in made.values():
        stopped.close()
