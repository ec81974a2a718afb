# SPDX-License-Identifier: GPL-2.0-only
"""A recording is a folder; its manifest says what belongs to it and what it needs.

Plain Python: it is used by gdb before a guest runs, and by the tests.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

FORMAT = 2
MANIFEST = "manifest.json"
FILES = ("log", "disk.qcow2", "initramfs.cpio", "console.log", "moments.json")
AGAIN = "type make record to make a new one"
KEYS = {"format", "made", "kernel", "qemu", "memory", "words", "program", "files"}


class Refused(Exception):
    """A recording that cannot be opened: the reason and what to do next."""


def _digest(file: Path) -> str:
    with open(file, "rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def _own_digest(manifest: dict[str, Any]) -> str:
    """Of the manifest itself, without the line that holds it."""
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
    manifest = {"format": FORMAT} | facts | {"files": files}
    manifest["sha256"] = _own_digest(manifest)
    text = json.dumps(manifest, indent=2) + "\n"
    (folder / MANIFEST).write_text(text, encoding="ascii")


def read(folder: Path) -> dict[str, Any]:
    """The manifest of a whole recording. Raises Refused for a damaged one."""
    file = folder / MANIFEST
    if not file.is_file():
        raise Refused(f"there is no recording in {folder}: type make record")
    try:
        manifest = json.loads(file.read_bytes())
        version = manifest["format"]
    except (OSError, ValueError, TypeError, KeyError):
        raise Refused(f"{file} is damaged: {AGAIN}") from None
    if version != FORMAT:
        raise Refused(
            f"the recording is in format {version}, this lab reads {FORMAT}: {AGAIN}"
        )
    if not KEYS <= manifest.keys() or manifest.get("sha256") != _own_digest(manifest):
        raise Refused(f"{file} is damaged: {AGAIN}")
    for name, told in manifest["files"].items():
        _check_file(folder / name, told)
    return manifest


def _check_file(file: Path, told: dict[str, Any]) -> None:
    if not file.is_file():
        raise Refused(f"the recording is damaged, {file} is missing: {AGAIN}")
    size = file.stat().st_size
    if size != told["bytes"]:
        raise Refused(
            f"the recording is damaged, {file} has {size} bytes instead of "
            f"{told['bytes']}: {AGAIN}"
        )
    if _digest(file) != told["sha256"]:
        raise Refused(
            f"the recording is damaged, {file} is not what was recorded "
            f"(its SHA-256 differs): {AGAIN}"
        )


def check(manifest: dict[str, Any], kernel: str, qemu: str, command: list[str]) -> None:
    """Can this kernel and this QEMU replay it? Raises Refused.

    Parameters: what read() gave, the kernel's build id, what QEMU says of its
    version, and the machine with which it would be started.
    """
    recorded = manifest["kernel"]
    if recorded["build_id"] != kernel:
        raise Refused(
            f"the recording is of another kernel, {recorded['name']} with build id "
            f"{_short(recorded['build_id'])}, but the selected one has {_short(kernel)}: "
            "select that one with KERNEL= or KERNEL_SRC=, or type make record"
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
