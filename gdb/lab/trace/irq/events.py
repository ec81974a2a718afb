# SPDX-License-Identifier: GPL-2.0-only
"""The events of lab trace irq."""

from __future__ import annotations

from dataclasses import dataclass

from ...result import Address, Number, Words
from ..event import Event


@dataclass(frozen=True, kw_only=True)
class IrqEvent(Event):
    """Something that a CPU did in between.

    Its time is that of its begin, its place among the others that of its end: what came
    in the meantime is before it.
    """

    instructions: Number | None  # that it took; null if this is no recording


@dataclass(frozen=True, kw_only=True)
class Interrupt(IrqEvent, timeline="irq", step="interrupt"):
    """A CPU was interrupted."""

    interrupt: Words  # as /proc/interrupts names it, "" if it does not
    vector: Number | None
    handlers: list[Words]  # of a device's interrupt
    mode: Words  # user or kernel: what was interrupted
    context: Words  # likewise: process, softirq, hardirq
    ip: Address
    place: Words  # what stands at ip
    count: Number | None  # how often this CPU has got it before: the kernel's own count
    raised: list[Words] | None  # softirqs that wait at its end; null if not recorded


@dataclass(frozen=True, kw_only=True)
class HandlersCalled(IrqEvent, timeline="irq", step="handlers"):
    """The handlers of an interrupt of a device were called."""

    interrupt: Words
    handlers: list[Words]  # functions
    result: Words  # IRQ_NONE, IRQ_HANDLED, IRQ_WAKE_THREAD
    threads: list[Words]  # that handle the rest


@dataclass(frozen=True, kw_only=True)
class Softirqs(IrqEvent, timeline="irq", step="softirqs"):
    """A CPU has run softirqs."""

    softirqs: dict[str, int]  # how often each ran, by the kernel's own count
    counts: dict[str, int]  # and how often since the boot, on this CPU
    after: Words  # the interrupt at whose end they ran, ksoftirqd, "" for anything else
    interrupts: Number  # that came in the meantime
    left: list[Words]  # softirqs that still wait
