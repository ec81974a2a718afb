# SPDX-License-Identifier: GPL-2.0-only
"""lab files: the open files of a task."""

from __future__ import annotations

from .. import files, task
from ..memory import Broken
from ..result import Result, Table, columns
from .base import LabCommand, task_of

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
    whether an exec closes it; the mount and inode, and the struct file.

    Example:
        (gdb) lab files 1
    """

    name = "files"

    def run(self, arguments: list[str]) -> Result:
        (pid,) = self.take(arguments, "[PID]")
        address = task_of(pid)
        table = files.files_of(address)
        if not table:
            read = task.task(address)
            said = f"{read.comm}, pid {read.pid}, has ended: its files are closed."
            return Result([said])
        found = Table("", COLUMNS)
        try:
            for one in files.for_each_file(table, task.onlooker_root()):
                found.rows.append(_row(one))
        except Broken as broken:
            found.broken = str(broken)
        return Result([found])


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
