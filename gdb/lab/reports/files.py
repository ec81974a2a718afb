# SPDX-License-Identifier: GPL-2.0-only
"""The open files of a task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..linux import files, task
from ..linux.structs.sched import TaskStruct
from ..result import Address, Flags, Number, Report, Table, Words
from ..target.cstruct import Ptr
from ..target.memory import Broken
from .processes import goes_on


class FileRow(NamedTuple):
    """An open file."""

    fd: Number
    path: Words
    kind: Words
    position: Number
    flags: Words
    opened_with: Flags
    close_on_exec: Words
    mnt_id: Number | None
    inode: Number | None
    file: Address


@dataclass
class FilesReport(Report, schema="files"):
    """The open files, and whose they are if they are not the task's own."""

    whose: str | None
    files: Table[FileRow] | None


def describe(address: Ptr[TaskStruct]) -> FilesReport:
    """Read the table of open files of a task, or of a living thread of its process."""
    owner = files.with_files(address)
    if owner is None:
        read, how = task.task(address), task.ended(address)
        what = "its files are closed"
        if how == task.DAMAGED:
            what = "it has no table of files, though it has not ended"
        return FilesReport(f"{read.comm}, pid {read.pid}, {how}: {what}.", None)
    table = files.files_of(owner)
    found = Table(FileRow, "")
    try:
        for file in files.for_each_file(table, task.onlooker_root()):
            found.rows.append(_row(file))
    except Broken as broken:
        found.broken = str(broken)
    return FilesReport(None if owner == address else _whose(address, owner), found)


def _whose(ended: Ptr[TaskStruct], owner: Ptr[TaskStruct]) -> str:
    """Whose files these are: after unshare() each thread may have its own."""
    gone, other = task.task(ended), task.task(owner)
    sentence = (
        f"{gone.comm}, pid {gone.pid}, {task.ended(ended)}{goes_on(ended)}. These are "
        f"the files of thread {other.pid}"
    )
    apart = [
        str(task.task(thread).pid)
        for thread in task.living_threads(ended)
        if files.files_of(thread) not in (0, files.files_of(owner))
    ]
    if apart:
        sentence += f"; other threads have files of their own: {', '.join(apart)}"
    return f"{sentence}."


def _row(file: files.OpenFile) -> FileRow:
    """The row of a descriptor."""
    return FileRow(
        fd=file.fd,
        path=file.path,
        kind=file.kind,
        position=file.pos,
        flags=f"0{file.flags:o}",
        opened_with=tuple(file.flag_names),
        close_on_exec="yes" if file.flags & files.O_CLOEXEC else "no",
        mnt_id=file.mnt_id,
        inode=file.inode,
        file=file.file,
    )
