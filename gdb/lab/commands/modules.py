# SPDX-License-Identifier: GPL-2.0-only
"""lab modules: loaded modules, or all that is known of one."""

from __future__ import annotations

from ..reports import modules as report
from ..result import Report
from .base import LabCommand


class Modules(LabCommand):
    """Loaded modules, or all that is known of one: lab modules [NAME] [--json]

    As /proc/modules has them: size, who uses each, its state and address. With NAME: its
    pieces of memory, its parameters and their values, its sections and symbols, and what
    its code has from vmalloc().

    Example: what lab_pages was loaded with.
        (gdb) lab modules lab_pages
    """

    name = "modules"

    def run(self, arguments: list[str]) -> Report:
        (name,) = self.take(arguments, "[NAME]")
        return report.describe(name)
