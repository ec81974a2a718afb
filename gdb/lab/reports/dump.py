# SPDX-License-Identifier: GPL-2.0-only
"""What a core file has, and how to open it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import NamedTuple

from ..dump import vmcore, vmcoreinfo
from ..result import Address, Report, Size, Table
from ..target import vmlinux


class CoreRow(NamedTuple):
    """A segment of a core file."""

    physical: Address
    virtual: Address
    size: Size
    file_offset: Address


@dataclass
class DumpReport(Report, schema="dump"):
    """What was written, and how to open it."""

    segments: Table[CoreRow]
    written: str
    crash: str
    drgn: str


def describe(core: vmcore.Core) -> DumpReport:
    """Describe a core file that was written."""
    table = Table(CoreRow)
    for segment in core.segments:
        row = CoreRow(
            physical=segment.physical,
            virtual=segment.virtual,
            size=segment.size,
            file_offset=segment.offset,
        )
        table.rows.append(row)
    own = "its own" if vmcoreinfo.is_kernels_own() else "made from debug info"
    symbols, path = shlex.quote(vmlinux.path()), shlex.quote(core.path)
    return DumpReport(
        segments=table,
        written=f"{core.path}: {core.ram >> 20} MiB of RAM, {core.written >> 20} MiB of "
        f"them written, {core.processors} processors, VMCOREINFO {own}.",
        crash=f"Open it with: crash {symbols} {path}",
        drgn=f"or with: drgn -c {path} -s {symbols}",
    )
