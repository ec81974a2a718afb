# SPDX-License-Identifier: GPL-2.0-only
"""A recording is a folder; its manifest says what belongs to it and what it needs.

Plain Python: it is used by gdb before a guest runs, and by the tests.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import stat
import struct
import subprocess
from io import BufferedReader
from pathlib import Path
from typing import Any

from ..schema import Schema, heading

MANIFEST = "manifest.json"
FILES = ("log", "disk.qcow2", "initramfs.cpio", "console.log", "moments.json")
RECORD = os.environ.get("LAB_RECORD", "make record")  # with its variables
AGAIN = f"type {RECORD} to make a new one"
# All that a manifest holds
FORM = {
    "schema": str,
    "version": int,
    "seginfo": str,
    "made": str,
    "kernel": {"name": str, "release": str, "build_id": str},
    "qemu": {"version": str, "command": [str]},
    "memory": str,
    "words": str,
    "program": str,
    "program_ended": str,
    "files": {name: {"bytes": int, "sha256": str} for name in FILES},
    "sha256": str,
}
MOST_OF_MANIFEST = 1 << 20  # bytes

# The header of a qcow2 file: magic, version; offset and length of the backing file's name;
# what comes before the encryption method; that method; incompatible features; the
# header's length
_HEADER = struct.Struct(">4sIQI12sI36xQ20xI")
FEATURE_NAMES = 0x6803F857  # the only header extension that qemu-img create writes
HEADER_AREA = 1 << 16  # the first cluster
_IRREGULAR = "{file} is no regular file: copy the recording whole, or " + AGAIN


class Manifest(Schema, schema="recording", version=3):
    """What a recording is and needs: manifest.json. Its members are those of FORM."""


class Refused(Exception):
    """A recording that cannot be opened: the reason and what to do next."""


def _digest(file: Path) -> str:
    with open(file, "rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def _own_digest(manifest: dict[str, Any]) -> str:
    """The digest of a manifest without its own member sha256."""
    rest = {key: value for key, value in manifest.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def seal(folder: Path, facts: dict[str, Any]) -> None:
    """Write the manifest, last of all files. Raises OSError."""
    files = {
        name: {
            "bytes": (folder / name).stat().st_size,
            "sha256": _digest(folder / name),
        }
        for name in FILES
    }
    manifest = heading(Manifest) | facts | {"files": files}
    manifest["sha256"] = _own_digest(manifest)
    text = json.dumps(manifest, indent=2) + "\n"
    (folder / MANIFEST).write_text(text, encoding="ascii")


def read(folder: Path) -> dict[str, Any]:
    """The manifest of a whole recording. Raises Refused for a damaged one."""
    file = folder / MANIFEST
    if not file.exists():
        raise Refused(f"there is no recording in {folder}: type {RECORD}")
    damaged = Refused(f"{file} is damaged: {AGAIN}")
    try:
        with opened(file) as data:
            manifest = json.loads(data.read(MOST_OF_MANIFEST + 1)[:MOST_OF_MANIFEST])
        if not isinstance(manifest, dict):
            raise damaged
        if type(manifest.get("format")) is int:  # until the lab's version 0.9
            raise Refused(f"the recording was made by an older lab: {AGAIN}")
        version = manifest.get("version")
        if type(version) is not int or manifest.get("schema") != Manifest.schema:
            raise damaged
        if version != Manifest.version:
            raise Refused(
                f"the recording's manifest is of version {version}, this lab reads "
                f"{Manifest.version}: {AGAIN}"
            )
        if not _has_form(manifest, FORM) or manifest["sha256"] != _own_digest(manifest):
            raise damaged
    except (OSError, ValueError, RecursionError):
        raise damaged from None
    for name in FILES:
        _check_file(folder / name, manifest["files"][name])
    return manifest


def _has_form(value: Any, form: Any) -> bool:
    """Does a value have the keys and types of a form?"""
    if isinstance(form, dict):
        return (
            isinstance(value, dict)
            and value.keys() == form.keys()
            and all(_has_form(value[key], form[key]) for key in form)
        )
    if isinstance(form, list):
        return isinstance(value, list) and all(
            _has_form(item, form[0]) for item in value
        )
    return type(value) is form


def opened(file: Path) -> BufferedReader:
    """Open a file of a recording to read it.

    :raises Refused: it is missing, a link to elsewhere, or a pipe that might never end
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        number = os.open(file, flags)
    except FileNotFoundError:
        raise Refused(f"the recording is damaged, {file} is missing: {AGAIN}") from None
    except OSError as problem:
        if problem.errno in (errno.ELOOP, errno.ENXIO):  # a link, a socket
            raise Refused(_IRREGULAR.format(file=file)) from None
        raise Refused(f"{file} cannot be read: {problem.strerror}") from None
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise Refused(_IRREGULAR.format(file=file))
    return open(number, "rb")


def _check_file(file: Path, recorded: dict[str, Any]) -> None:
    with opened(file) as data:
        size = os.fstat(data.fileno()).st_size
        if size != recorded["bytes"]:
            raise Refused(
                f"the recording is damaged, {file} has {size} bytes instead of "
                f"{recorded['bytes']}: {AGAIN}"
            )
        if hashlib.file_digest(data, "sha256").hexdigest() != recorded["sha256"]:
            raise Refused(
                f"the recording is damaged, {file} is not what was recorded "
                f"(its SHA-256 differs): {AGAIN}"
            )


def copy_disk(folder: Path, copy: Path) -> None:
    """Copy the disk for a replay to work on, and check that it needs no other file.

    Raises Refused.
    """
    with opened(folder / "disk.qcow2") as disk:
        number = disk.fileno()
        command = ["cp", "--reflink=auto", "--sparse=always"]
        command += [f"/dev/fd/{number}", str(copy)]
        done = subprocess.run(command, pass_fds=[number], stderr=subprocess.DEVNULL)
    if done.returncode:
        raise Refused(
            f"the recording's disk cannot be copied to {copy.parent}: make room there"
        )
    with open(copy, "rb") as disk:
        _check_disk(disk.read(HEADER_AREA))


def _check_disk(head: bytes) -> None:
    """Refuse a disk that make record did not make, or whose data is not all in the file.

    A qcow2 file may name others, on this machine or another, and QEMU opens them: see
    QEMU's docs/interop/qcow2.txt. Raises Refused.
    """
    foreign = Refused(f"the recording's disk is none that make record makes: {AGAIN}")
    if len(head) < _HEADER.size:
        raise foreign
    (
        magic,
        version,
        backing_at,
        backing_size,
        _,
        crypt,
        features,
        length,
    ) = _HEADER.unpack_from(head)
    if (magic, version) != (b"QFI\xfb", 3):
        raise foreign
    if backing_at or backing_size or crypt or features:
        raise foreign
    at = length
    while at + 8 <= len(head):
        kind, size = struct.unpack_from(">II", head, at)
        if kind == 0:
            return
        if kind != FEATURE_NAMES:
            raise foreign
        at += 8 + (size + 7 & -8)
    raise foreign


def check(manifest: dict[str, Any], kernel: str, qemu: str, command: list[str]) -> None:
    """Can this kernel and this QEMU replay it? Raises Refused.

    :param manifest: what read() returned
    :param kernel: the kernel's build id
    :param qemu: the version that QEMU tells
    :param command: the command line with which it would be started
    """
    recorded = manifest["kernel"]
    if recorded["build_id"] != kernel:
        raise Refused(
            f"the recording is of another kernel, {recorded['name']} with build id "
            f"{_short(recorded['build_id'])}, but the selected one has {_short(kernel)}: "
            f"select that one with KERNEL= or KERNEL_SRC=, or type {RECORD}"
        )
    if manifest["qemu"]["version"] != qemu:
        raise Refused(
            f"the recording is of another QEMU, {manifest['qemu']['version']}, but here "
            f"is {qemu}: {AGAIN}"
        )
    if manifest["qemu"]["command"] != command:
        raise Refused(
            f"the recording is of another machine, as its qemu.command shows: {AGAIN}"
        )
    if not re.fullmatch(r"[1-9][0-9]{0,4}[MG]", manifest["memory"]):
        raise Refused(f"the recording's memory is no size: {AGAIN}")
    if not re.fullmatch(r"[ -~]+", manifest["words"]):
        raise Refused(f"the recording's kernel command line is no line: {AGAIN}")


def _short(identity: str) -> str:
    return identity[:12]
