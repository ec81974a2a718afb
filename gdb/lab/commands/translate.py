# SPDX-License-Identifier: GPL-2.0-only
"""lab translate: an address, physical address, frame number or struct page as all four."""

from __future__ import annotations

from ..reports import translate as report
from ..result import Report
from ..target.debugger import Refused
from .arguments import number
from .base import LabCommand


class Translate(LabCommand):
    """An address as all others of the same byte: lab translate VALUE [KIND] [--json]

    The address, the physical address, the number of the page frame, its struct page,
    the addresses in the direct map and in the kernel image, each with its formula.
    KIND says what VALUE is: virt, phys, pfn (a page frame's number) or page (a struct
    page *). Without it, a kernel address is taken for itself, even if a struct page is
    there, and any other number for a physical address.

    Examples: where the task is in RAM, and whose struct page is the first.
        (gdb) lab translate $lab_task()
        (gdb) lab translate 0x100 pfn
    """

    name = "translate"

    def run(self, arguments: list[str]) -> Report:
        value, kind = self.take(arguments, "VALUE", "[KIND]")
        if kind and kind not in report.KINDS:
            raise Refused(
                f"{kind} is no kind of value: give one of {', '.join(report.KINDS)}."
            )
        return report.describe(number(value, "number"), kind)
