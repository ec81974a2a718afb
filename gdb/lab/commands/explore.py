# SPDX-License-Identifier: GPL-2.0-only
"""All `lab` commands, in the order of `help lab`."""

from __future__ import annotations

from .. import unforeseen
from . import layout
from .base import Lab
from .blame import Blame
from .current import Current
from .dump import Dump
from .elf import Elf
from .files import Files
from .functions import FUNCTIONS
from .kernelmap import Kernel
from .map import Map
from .mm import Mm
from .pages import Walk
from .physical import Phys
from .processes import Ps, Threads, Tree
from .read import Read
from .stacks import Kstack, Regs, Ustack
from .tasks import Task
from .timeline import Goto, Timeline
from .trace import Trace
from .trees import List, Maple, Rb
from .vmas import Vma, Vmas

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
    for each in (*COMMANDS, *FUNCTIONS):
        each()
    layout.register()
