# SPDX-License-Identifier: GPL-2.0-only
"""All `lab` commands; lab X is in the file X.py."""

from __future__ import annotations

from ..target import unforeseen
from . import window
from .base import Lab
from .blame import Blame
from .buddy import Buddy
from .count import Count
from .current import Current
from .dmesg import Dmesg
from .dump import Dump
from .elf import Elf
from .files import Files
from .fit import Fit
from .frames import Frames
from .functions import FUNCTIONS
from .goto import Goto
from .irqs import Irqs
from .kernel import Kernel
from .kmalloc import Kmalloc
from .kstack import Kstack
from .list import List
from .listhead import Listhead
from .map import Map
from .maple import Maple
from .meminfo import Meminfo
from .mm import Mm
from .modules import Modules
from .phys import Phys
from .ps import Ps
from .random import Random
from .rb import Rb
from .read import Read
from .regs import Regs
from .slabs import Slabs
from .symbol import Symbol
from .task import Task
from .threads import Threads
from .timeline import Timeline
from .trace import Trace
from .translate import Translate
from .tree import Tree
from .ustack import Ustack
from .vma import Vma
from .vmalloc import Vmalloc
from .vmas import Vmas
from .walk import Walk
from .what import What
from .zones import Zones

COMMANDS = (
    Current,
    Ps,
    Threads,
    Tree,
    Task,
    Mm,
    Vmas,
    Vma,
    List,
    Rb,
    Maple,
    Walk,
    Phys,
    Read,
    Kstack,
    Ustack,
    Regs,
    Files,
    Elf,
    Map,
    Kernel,
    Zones,
    Buddy,
    Frames,
    Fit,
    Slabs,
    Kmalloc,
    Vmalloc,
    Modules,
    Irqs,
    Meminfo,
    What,
    Translate,
    Count,
    Random,
    Symbol,
    Listhead,
    Dmesg,
    Dump,
    Trace,
    Timeline,
    Goto,
    Blame,
)


def register() -> None:
    """Make the commands known to gdb."""
    unforeseen.register()
    Lab()
    for kind in (*COMMANDS, *FUNCTIONS):
        kind()
    window.register()
