# SPDX-License-Identifier: GPL-2.0-only
"""How many processes, threads and kernel threads there are, and how the sums come about."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from ..linux import process, processors
from ..result import Check, Number, Report, Table, Words
from ..target import kernel, structs
from ..target.cstruct import Ptr
from ..target.memory import Broken

STATES = {
    **{"R": "runs or could run", "S": "sleeps", "D": "sleeps uninterruptibly"},
    **{"T": "stopped", "t": "traced", "X": "dead", "Z": "zombie", "P": "parked"},
    "I": "idle kernel thread",
}
structs.expect("nr_threads", "process_counts", "total_forks")


class SumRow(NamedTuple):
    """A sum, and what it is the sum of."""

    what: Words
    number: Number
    how: Words


class StateRow(NamedTuple):
    """How many are in a state."""

    state: Words
    meaning: Words
    processes: Number
    threads: Number


class CounterRow(NamedTuple):
    """A counter of the kernel's, beside what was found in the lists."""

    counter: Words
    value: Number
    counted: Number
    agrees: Check


@dataclass
class CountReport(Report, schema="count"):
    """Sums over the lists of tasks, beside the kernel's own counters."""

    sums: Table[SumRow]
    states: Table[StateRow]
    counters: Table[CounterRow]
    forks: str


def describe() -> CountReport:
    """Walk all tasks. Raises memory.Fault."""
    sums, states = Table(SumRow), Table(StateRow, "states")
    counters = Table(CounterRow, "the kernel's own counters")
    found: list[process.Process] = []
    try:
        for thread in process.threads():
            found.append(thread)
    except Broken as broken:
        sums.broken = str(broken)
    idle = [thread for thread in found if thread.pid == 0]
    threads = [thread for thread in found if thread.pid != 0]
    leaders = [thread for thread in threads if thread.pid == thread.tgid]
    of_kernel = [leader for leader in leaders if leader.is_kernel_thread]
    zombies = [leader for leader in leaders if leader.state == "Z"]
    users = len(leaders) - len(of_kernel)
    more = len(threads) - len(leaders)
    for what, number, how in (
        (
            "processes",
            users,
            "leaders of thread groups with no PF_KTHREAD, zombies too",
        ),
        ("of these, zombies", len(zombies), "state Z: ended, not waited for"),
        ("kernel threads", len(of_kernel), "leaders with PF_KTHREAD: a group each"),
        (
            "rows of ps",
            len(leaders),
            f"{users} + {len(of_kernel)}: the list init_task.tasks",
        ),
        ("further threads", more, "of processes with several: signal->thread_head"),
        ("threads", len(threads), f"{len(leaders)} + {more}: rows of ps -T"),
        ("idle tasks", len(idle), "swapper/N, one for each CPU: pid 0, on no list"),
    ):
        sums.rows.append(SumRow(what, number, how))
    by_state = Counter(leader.state for leader in leaders)
    all_states = Counter(thread.state for thread in threads)
    for state in sorted(all_states):
        meaning = STATES.get(state, "")
        row = StateRow(state, meaning, by_state[state], all_states[state])
        states.rows.append(row)
    counters.rows += [
        _counter("nr_threads", kernel.read_int("nr_threads"), len(threads)),
        _counter("sum of process_counts", _process_counts(), len(leaders)),
    ]
    forks = kernel.memory().u64(structs.address_of("total_forks"))
    return CountReport(
        sums,
        states,
        counters,
        f"{forks:,} tasks were made since the boot: total_forks.",
    )


def _counter(name: str, value: int, counted: int) -> CounterRow:
    differs = f"differs by {abs(value - counted)}: a task is just coming or going"
    return CounterRow(name, value, counted, value == counted or differs)


def _process_counts() -> int:
    """nr_processes() in kernel/fork.c."""
    place, guest = Ptr[object](structs.address_of("process_counts")), kernel.memory()
    total = 0
    for cpu in processors.possible_cpus():
        data = guest.read(processors.per_cpu_ptr(place, cpu), 8)
        total += int.from_bytes(data, "little", signed=True)
    return total
