# SPDX-License-Identifier: GPL-2.0-only
"""What the tests of the host side share: copies of the project, servers, trees.

A test that needs other sources, packages or options works on a copy of the project, in
which it changes those files.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Iterator

from support import programs

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534

# Variables that select the kernel and where it is built: each test sets its own.
SELECTION = ("KERNEL", "KERNEL_SRC", "KERNEL_MIRROR", "JUDGES", "RANDSTRUCT", "BUILD")
SELECTION += ("DOWNLOAD_STALL", "V")


def environment(**settings: object) -> dict[str, str]:
    """Return this environment with SETTINGS, and without other variables of SELECTION."""
    env = {k: v for k, v in os.environ.items() if k not in SELECTION}
    env.update({name: str(value) for name, value in settings.items()})
    return env


def run(
    *command: object,
    cwd: Path | None = None,
    as_nobody: bool = False,
    limit: float = 60,
    **settings: object,
) -> subprocess.CompletedProcess[str]:
    """Run COMMAND, without a terminal, with SETTINGS in its environment."""
    if as_nobody and os.geteuid() == 0:
        ids = (f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
        command = ("setpriv", *ids, "--", *command)
    return programs.run(command, cwd, environment(**settings), limit)


def sha256(data: bytes) -> str:
    """SHA-256 of DATA in hex."""
    return hashlib.sha256(data).hexdigest()


def wait_for(condition: Any, limit: float = 15) -> None:
    """Wait until CONDITION() is true; fail after LIMIT seconds."""
    assert programs.wait_until(condition, limit), f"not within {limit} s"


def interrupt(process: subprocess.Popen[str]) -> int:
    """Send Ctrl-C to a PROCESS with a session of its own, and return its exit status."""
    os.killpg(process.pid, signal.SIGINT)
    return process.wait(timeout=15)


def files(folder: Path) -> dict[str, tuple[Any, ...]]:
    """Return mode, content (its hash, or a link's target) and mtime of each path in FOLDER."""
    found: dict[str, tuple[Any, ...]] = {}
    for path in sorted(folder.rglob("*")):
        what = path.lstat()
        if path.is_symlink():
            content = os.readlink(path)
        else:
            content = sha256(path.read_bytes()) if path.is_file() else ""
        name = str(path.relative_to(folder))
        found[name] = (what.st_mode, content, what.st_mtime_ns)
    return found


class Project:
    """A copy of the project's host side, with its own build folder."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        for part in ("scripts", "kernel"):
            shutil.copytree(ROOT / part, folder / part)
        self.build = folder / "build"

    def script(self, name: str) -> Path:
        """The path of scripts/NAME."""
        return self.root / "scripts" / name

    def run(self, name: str, **settings: Any) -> subprocess.CompletedProcess[str]:
        """Run scripts/NAME."""
        return run(self.script(name), cwd=self.root, **settings)

    def lib(self, command: str, **settings: Any) -> subprocess.CompletedProcess[str]:
        """Run a shell COMMAND after sourcing scripts/lib.sh."""
        return run("bash", "-c", f'. "{self.script("lib.sh")}"; {command}', **settings)

    def start(self, name: str, **settings: object) -> subprocess.Popen[str]:
        """Start scripts/NAME in a session of its own, as a terminal would."""
        return subprocess.Popen(
            [self.script(name)],
            cwd=self.root,
            env=environment(**settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def pin(self, *rows: tuple[str, str, str, str, bytes]) -> None:
        """Write kernel/sources.txt with these rows: version, origin, at, file, content."""
        lines = [" ".join((*row[:4], sha256(row[4]))) for row in rows]
        table = "# for a test\n\n" + "\n".join(lines) + "\n"
        (self.root / "kernel" / "sources.txt").write_text(table)

    def source(self, version: str) -> Path:
        """Where the source of VERSION is unpacked."""
        return self.build / "sources" / f"linux-{version}"


def tarball(folder: Path, version: str) -> bytes:
    """Make a .tar.xz like a kernel's, but small: a Makefile and noise."""
    tree = folder / f"linux-{version}"
    tree.mkdir()
    (tree / "Makefile").write_text(f"# {version}\n")
    (tree / "noise").write_bytes(os.urandom(300_000))
    packed = folder / f"linux-{version}.tar.xz"
    with tarfile.open(packed, "w:xz") as tar:
        tar.add(tree, arcname=tree.name)
    return packed.read_bytes()


class Server:
    """An HTTP server on 127.0.0.1 that may misbehave.

    manners: good    supports ranges
             cuts    ends each answer after a quarter of the file
             dead    ends each answer after the first quarter of the file
             whole   ignores ranges
             stalls  falls silent after the first quarter of the file
             drips   good, but sends a little at a time
    """

    def __init__(self, content: dict[str, bytes], manners: str = "good") -> None:
        self.content = content
        self.manners = manners
        self.asked: list[tuple[str, str, str]] = []  # method, path, Range
        self.silence = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                server.answer(self, body=False)

            def do_GET(self) -> None:
                server.answer(self, body=True)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def gets(self) -> list[str]:
        """The ranges that GET requests asked for, in order; "" for a request without."""
        return [span for method, _, span in self.asked if method == "GET"]

    def answer(self, request: BaseHTTPRequestHandler, body: bool) -> None:
        """Answer one request according to self.manners."""
        span = request.headers.get("Range", "")
        self.asked.append((request.command, request.path, span))
        data = self.content.get(request.path.lstrip("/"))
        if data is None:
            request.send_error(404)
            return
        size, first = len(data), 0
        if span and self.manners != "whole":
            first = int(span.removeprefix("bytes=").split("-")[0])
            if first >= size:
                request.send_error(416)
                return
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {first}-{size - 1}/{size}")
        else:
            request.send_response(200)
        request.send_header("Content-Length", str(size - first))
        request.end_headers()
        if not body:
            return

        ends = {"cuts": first + size // 4, "dead": size // 4, "stalls": size // 4}
        end = min(size, ends.get(self.manners, size))
        try:
            if self.manners == "drips":
                for at in range(first, end, 4096):
                    request.wfile.write(data[at : at + 4096])
                    self.silence.wait(0.05)
            else:
                request.wfile.write(data[first:end])
            if self.manners == "stalls":
                request.wfile.flush()
                self.silence.wait(60)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client has closed the connection


@contextmanager
def serving(content: dict[str, bytes], manners: str = "good") -> Iterator[Server]:
    """Run a Server for CONTENT, by file name, for the time of a with block."""
    server = Server(content, manners)
    thread = threading.Thread(target=server.http.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.silence.set()
        server.http.shutdown()
        server.http.server_close()
        thread.join()


def selected_tree() -> Path:
    """Return the source tree of the selected kernel."""
    if os.environ.get("KERNEL_SRC"):
        return Path(os.environ["KERNEL_SRC"]).resolve()
    lib = ROOT / "scripts" / "lib.sh"
    found = subprocess.run(
        ["bash", "-c", f'. "{lib}"; echo "$BUILD/sources/linux-$(kernel_version)"'],
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(found.stdout.strip())


@contextmanager
def open_folder(give: bool = False) -> Iterator[Path]:
    """Make a temporary folder that any user can enter; GIVE gives it to user nobody.

    pytest's own folders are private, and making them public does not last: the next
    pytest that starts on this machine makes them private again.
    """
    with tempfile.TemporaryDirectory(prefix="seginfo-test-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        if give and os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        yield folder


def command(folder: Path, name: str, text: str) -> None:
    """Write a shell script NAME into FOLDER, which hides the real one in PATH."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)
