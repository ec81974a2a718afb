# SPDX-License-Identifier: GPL-2.0-only
"""What lab ps, threads and tree share: a row for a task."""

from __future__ import annotations

from ..linux import process
from ..result import columns

COLUMNS = columns(
    pid="number",
    tgid="number",
    ppid="number",
    uid="number",
    euid="number",
    state="text",
    cpu="number",
    threads="number",
    comm="text",
    task="address",
)


def process_row(one: process.Process) -> tuple:
    """A task as a row of COLUMNS."""
    return (
        one.pid,
        one.tgid,
        one.ppid,
        one.uid,
        one.euid,
        one.state,
        one.cpu,
        one.threads,
        one.name,
        one.address,
    )
