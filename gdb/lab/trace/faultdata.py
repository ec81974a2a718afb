# SPDX-License-Identifier: GPL-2.0-only
"""Facts around a page fault: a program's signal handler, and all of it as data."""

from __future__ import annotations

from typing import Any

from .. import kernel, layout, signals
from .pagefault import Look

ACTION = layout.Form("struct k_sigaction", handler="sa.sa_handler")
TASK = layout.Form("struct task_struct", "sighand", "blocked")


def handler_of(address: int, number: int) -> int:
    """The function a program has for a signal that is forced on it, 0 for none.

    One that is blocked or ignored has none: force_sig_info_to_task() in
    kernel/signal.c. Parameter: struct task_struct *. Raises memory.Fault.
    """
    guest = kernel.memory()
    read = TASK(guest, address)
    place = read.sighand + layout.offsetof("struct sighand_struct", "action")
    place += (number - 1) * layout.sizeof("struct k_sigaction")
    handler = ACTION(guest, place).handler
    is_blocked = int.from_bytes(read.blocked, "little") >> (number - 1) & 1
    return 0 if is_blocked or handler in (signals.SIG_DFL, signals.SIG_IGN) else handler


def look_data(one: Look) -> dict[str, Any]:
    """For a program."""
    return {
        "level": one.entry.name if one.entry else None,
        "entry": one.entry.value if one.entry else None,
        "pfn": one.pfn,
        "use": one.use,
        "holders": one.holders,
        "references": one.references,
        "page_cache": one.is_cached,
        "min_flt": one.min_flt,
        "maj_flt": one.maj_flt,
    }
