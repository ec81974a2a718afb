# SPDX-License-Identifier: GPL-2.0-only
"""lab symbol: names of the kernel and of modules, both ways."""

from __future__ import annotations

import re

from ..reports import symbol as report
from ..result import Report
from .arguments import number
from .base import LabCommand

NAME = re.compile(r"[A-Za-z_.][\w.$]*")


class Symbol(LabCommand):
    """A symbol by its name, or around an address: lab symbol NAME or ADDRESS [--json]

    As in /proc/kallsyms, those of modules too: where it starts, where the next one
    starts, the source line. A name may stand for several symbols: static functions of
    different files. A plain name is taken for a symbol's; any other expression of gdb's,
    such as &init_task or 0xffffffff81000000, for an address.

    Examples: a system call, and what is at an address.
        (gdb) lab symbol __x64_sys_segment_info
        (gdb) lab symbol $rip
    """

    name = "symbol"

    def run(self, arguments: list[str]) -> Report:
        (what,) = self.take(arguments, "NAME or ADDRESS")
        is_name = NAME.fullmatch(what)
        return report.describe(what if is_name else number(what, "address"))
