# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures of the debugger's tests: the selected kernel, ports, no leaks.

`make test` builds the kernel first; KERNEL or KERNEL_SRC in the environment select it.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Callable, Iterator

import pytest

from support import labs

# They define the fixtures module, moments and traced, and --progress
pytest_plugins = (
    "support.guest_modules",
    "support.witnessed",
    "support.traces",
    "support.parallel",
)

# A shell makes its background jobs, and all their children, ignore Ctrl-C, which the tests
# press; nohup makes them ignore the terminal's end, which they bring about. A handler
# is not inherited as that is: the programs that the tests start heed these signals.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
for _number in (signal.SIGHUP, signal.SIGQUIT):
    if "PYTEST_XDIST_WORKER" in os.environ or (
        signal.getsignal(_number) is signal.SIG_IGN
    ):
        signal.signal(_number, lambda *_: None)


@pytest.fixture(scope="session")
def kernel() -> Path:
    """The folder of the selected kernel: vmlinux.pvh, obj/vmlinux, ..."""
    folder = labs.kernel_dir()
    assert (
        folder / "vmlinux.pvh"
    ).exists(), f"{folder} has no kernel: type make kernel"
    return folder


@pytest.fixture(scope="session")
def vmlinux(kernel: Path) -> Path:
    """The kernel with its debug info."""
    return kernel / "obj" / "vmlinux"


@pytest.fixture(scope="session")
def bzimage(kernel: Path) -> Path:
    """The compressed kernel, which can relocate itself."""
    image = kernel / "obj" / "arch" / "x86" / "boot" / "bzImage"
    if not image.exists():
        pytest.skip(f"{image} was not built")
    return image


@pytest.fixture
def port() -> Iterator[int]:
    """A free port; at the end of the test nothing may be left on it."""
    number = labs.free_port()
    yield number
    assert labs.leaks(number) == []


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Compile programs of tests/guest/programs, each once."""
    folder = tmp_path_factory.mktemp("programs")
    done: dict[str, Path] = {}

    def compiled(source: str) -> Path:
        if source not in done:
            done[source] = labs.compile_c(source, folder)
        return done[source]

    return compiled


@pytest.fixture(scope="session", autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Check at the end of the session that no QEMU runs on a port that it took."""
    yield
    left = [leak for port in labs.ports for leak in labs.leaks(port)]
    labs.remove_logs()
    assert left == []
