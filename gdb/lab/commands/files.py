# SPDX-License-Identifier: GPL-2.0-only
"""lab files: the open files of a task."""

from __future__ import annotations

from ..linux import files, task
from ..result import Result, Table, columns
from ..target.memory import Broken
from .base import LabCommand, goes_on, task_of

COLUMNS = columns(
    fd="number",
    path="text",
    kind="text",
    position="number",
    flags="text",
    opened_with="flags",
    close_on_exec="text",
    mnt_id="number",
    inode="number",
    file="address",
)


class Files(LabCommand):
    """The open files of a task: lab files [PID] [--json]

    One row a descriptor: the path as the link /proc/PID/fd/N shows it, told from
    the first process's root directory; what kind of file it is; the position in
    bytes; the flags as /proc/PID/fdinfo/N has them, in octal, and by name;
    whether an exec closes it; the mount and inode, and the struct file. If the task
    has ended and its process goes on, those of a thread that lives.

    Example:
        (gdb) lab files 1
    """

    name = "files"

    def run(self, arguments: list[str]) -> Result:
        (pid,) = self.take(arguments, "[PID]")
        address = task_of(pid)
        owner = files.with_files(address)
        if owner is None:
            read, how = task.task(address), task.ended(address)
            what = "its files are closed"
            if how == task.DAMAGED:
                what = "it has no table of files, though it has not ended"
            return Result([f"{read.comm}, pid {read.pid}, {how}: {what}."])
        table = files.files_of(owner)
        found = Table("", COLUMNS)
        try:
            for one in files.for_each_file(table, task.onlooker_root()):
                found.rows.append(_row(one))
        except Broken as broken:
            found.broken = str(broken)
        return Result([found] if owner == address else [_whose(address, owner), found])


def _whose(ended: int, owner: int) -> str:
    """Whose files these are: each thread may have others, with unshare()."""
    one, other = task.task(ended), task.task(owner)
    said = (
        f"{one.comm}, pid {one.pid}, {task.ended(ended)}{goes_on(ended)}. These are "
        f"the files of thread {other.pid}"
    )
    apart = [
        str(task.task(thread).pid)
        for thread in task.living_threads(ended)
        if files.files_of(thread) not in (0, files.files_of(owner))
    ]
    if apart:
        said += f"; other threads have files of their own: {', '.join(apart)}"
    return f"{said}."


def _row(one: files.OpenFile) -> tuple:
    """A descriptor as a row of COLUMNS."""
    return (
        one.fd,
        one.path,
        one.kind,
        one.pos,
        f"0{one.flags:o}",
        one.flag_names,
        "yes" if one.flags & files.O_CLOEXEC else "no",
        one.mnt_id,
        one.inode,
        one.file,
    )
