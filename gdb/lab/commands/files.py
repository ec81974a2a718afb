# SPDX-License-Identifier: GPL-2.0-only
"""lab files: the open files of a task."""

from __future__ import annotations

from ..reports import files as report
from ..result import Report
from .arguments import task_of
from .base import LabCommand


class Files(LabCommand):
    """The open files of a task: lab files [PID] [--json]

    One row for each descriptor: the path as the link /proc/PID/fd/N shows it, seen
    from the first process's root directory; what kind of file it is; the position in
    bytes; the flags as /proc/PID/fdinfo/N has them, in octal, and by name;
    whether an exec closes it; the mount and inode, and the struct file. If the task
    has ended but its process goes on, the files are those of a living thread.

    Example:
        (gdb) lab files 1
    """

    name = "files"

    def run(self, arguments: list[str]) -> Report:
        (pid,) = self.take(arguments, "[PID]")
        address = task_of(pid)
        return report.describe(address)
