# SPDX-License-Identifier: GPL-2.0-only
"""Files of this machine: nothing else in the lab opens one to read a program.

The guest chooses names: what it maps from /dev/zero is called /dev/zero. So a name from
the guest is looked up in a few folders only, with links resolved first, and only a
regular file of a bounded size is read; a device is never even opened. Plain Python.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

ROOT = Path(__file__).resolve().parents[3]  # the clone
PROGRAM = "/lab/program"  # where the guest has what PROGRAM= names
SHARE = "/mnt/host_share/"
DELETED = " (deleted)"
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64")  # what a distribution installs
LARGEST = 256 << 20  # bytes: a file is read into gdb's memory as a whole
HERE = os.O_PATH | os.O_CLOEXEC  # a descriptor that names a file and opens nothing
READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Unfit(Exception):
    """A file that cannot or must not be read: says why, as the end of a sentence."""


class HostFile:
    """An open file, as an elffile.Source."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.size = os.fstat(descriptor).st_size

    def read(self, offset: int, size: int) -> bytes:
        return os.pread(self._descriptor, size, offset)


@contextmanager
def opened(path: str | Path) -> Iterator[HostFile]:
    """Open a file that the person named, however large. Raises Unfit.

    Links are followed: the person may have made them.
    """
    try:
        place = os.open(path, HERE)
    except (OSError, ValueError) as error:
        raise Unfit(_reason(error)) from None
    with _reopened(place) as file:
        yield file


def read(path: str | Path) -> bytes:
    """All of a file that the person named. Raises Unfit."""
    with opened(path) as file:
        return _all_of(file)


def read_plain(path: str) -> bytes:
    """All of a file whose path has no links.

    :raises Unfit: it cannot be read, or there is a link in the path by now
    """
    with _reopened(_walk(path)) as file:
        return _all_of(file)


def candidates(name: str) -> list[str]:
    """Files here that may be the one the guest has by a name, the likeliest first.

    Their paths have no links. Whether it is the same file the caller has to compare.

    :param name: the file's path in the guest
    """
    name = name.removesuffix(DELETED)
    build = Path(os.environ.get("BUILD") or ROOT / "build")
    found = []
    if name == PROGRAM and os.environ.get("PROGRAM"):
        found.append(_resolved(str(ROOT / os.environ["PROGRAM"])))
    if name.startswith(SHARE):
        found.append(_inside(build / "share", name.removeprefix(SHARE)))
    base = os.path.basename(name)
    if base:
        found += [_inside(folder / "user", base) for folder in (build, ROOT / "build")]
    for folder in SYSTEM:
        if name.startswith(f"{folder}/"):
            found.append(_inside(Path("/"), name.lstrip("/"), SYSTEM))
    return list(dict.fromkeys(filter(None, found)))


def _inside(folder: Path, rest: str, allowed: tuple[str, ...] = ()) -> str:
    """The path of a file in a folder, without links; "" if that leads out of it.

    :param allowed: the folders it may lead to instead
    """
    path = _resolved(os.path.join(folder, rest))
    roots = [_resolved(root) for root in allowed or (str(folder),)]
    return path if any(path.startswith(f"{root}/") for root in roots if root) else ""


def _resolved(path: str) -> str:
    """A path with its links resolved, "" if it is no possible path."""
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):
        return ""


def _walk(path: str) -> int:
    """A descriptor that names the file at a path, reached through no link: Unfit."""
    place = os.open("/", HERE)
    for part in Path(path).parts[1:]:
        folder = place
        try:
            place = os.open(part, HERE | os.O_NOFOLLOW, dir_fd=folder)
        except (OSError, ValueError) as error:
            raise Unfit(_reason(error)) from None
        finally:
            os.close(folder)
    return place


@contextmanager
def _reopened(place: int) -> Iterator[HostFile]:
    """Open the regular file that a descriptor names, and close that descriptor.

    Unlike a path, it names the same file after the check as before.

    :param place: a descriptor opened with HERE
    :raises Unfit: it is no regular file, or cannot be read
    """
    try:
        if not stat.S_ISREG(os.fstat(place).st_mode):
            raise Unfit("it is no regular file")
        descriptor = os.open(f"/proc/self/fd/{place}", READ)
    except OSError as error:
        raise Unfit(_reason(error)) from None
    finally:
        os.close(place)
    try:
        yield HostFile(descriptor)
    except OSError as error:
        raise Unfit(_reason(error)) from None
    finally:
        os.close(descriptor)


def _all_of(file: HostFile) -> bytes:
    """All bytes of a file. Raises Unfit for too many."""
    if file.size > LARGEST:
        raise Unfit(f"it is larger than {LARGEST >> 20} MiB")
    return file.read(0, file.size)


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)
