# SPDX-License-Identifier: GPL-2.0-only
"""Which CPU stopped, and what it runs, derived from its registers."""

from __future__ import annotations

import struct

import pytest

from lab.linux import registers
from lab.linux.processors import REGISTERS, Processor, processors
from lab.linux.task import get_current, per_cpu_place
from lab.target import debugger, structs
from lab.target.files_debugger import FilesDebugger
from made_up import PAGE, WORD, Guest

KERNEL_CS, USER_CS = 0x10, 0x33
THREAD_POINTER = 0x7F00_0000_1000  # of the program, in its gs base


@pytest.fixture
def cpus(guest: Guest) -> list[tuple[int, int]]:
    """The per-CPU offset and current of two CPUs."""
    size = structs.variable_size("__per_cpu_offset")
    none = structs.address_of("__per_cpu_load")
    area = guest.room(16 * PAGE, PAGE)
    places = [area - per_cpu_place("current_task") + 64 * cpu for cpu in range(2)]
    tasks = [guest.put("struct task_struct", {"pid": 7 + cpu}) for cpu in range(2)]
    for base, task in zip(places, tasks):
        guest.write(base + per_cpu_place("current_task"), WORD.pack(task))
    offsets = places + [none] * (size // 8 - len(places))
    guest.write(
        structs.address_of("__per_cpu_offset"),
        struct.pack(f"<{size // 8}Q", *offsets),
    )
    return list(zip(places, tasks))


def stop(guest: Guest, cs: int, gs_base: int, k_gs_base: int) -> Processor:
    """Make a guest with one CPU that has stopped with these registers."""
    state = dict.fromkeys(REGISTERS, 0)
    state |= {"cs": cs, "gs_base": gs_base, "k_gs_base": k_gs_base}
    vmlinux = debugger.debugger().vmlinux
    debugger.use(FilesDebugger(vmlinux, guest.layout, guest.image, (state,)))
    (processor,) = processors()
    return processor


def user_gs(processor: Processor) -> int:
    """Return the gs base that the program has, or had before it entered the kernel."""
    return registers.bases(processor.current, processor)["gs_base"]


def test_in_the_kernel(guest: Guest, cpus: list[tuple[int, int]]) -> None:
    (base, task) = cpus[1]
    processor = stop(guest, KERNEL_CS, base, THREAD_POINTER)
    assert (processor.cpu, processor.current, get_current()) == (1, task, task)
    assert user_gs(processor) == THREAD_POINTER


@pytest.mark.parametrize("cs", [USER_CS, KERNEL_CS])
def test_before_swapgs(guest: Guest, cpus: list[tuple[int, int]], cs: int) -> None:
    """In user mode, and in the kernel's first instructions."""
    (base, task) = cpus[1]
    processor = stop(guest, cs, THREAD_POINTER, base)
    assert (processor.cpu, processor.current, get_current()) == (1, task, task)
    assert user_gs(processor) == THREAD_POINTER


def test_a_program_that_sets_gs_to_another_cpu_s(
    guest: Guest, cpus: list[tuple[int, int]]
) -> None:
    """With FSGSBASE, wrgsbase takes any address, so gs is not trusted in user mode."""
    (other, _), (base, task) = cpus
    processor = stop(guest, USER_CS, other, base)
    assert (processor.cpu, processor.current, get_current()) == (1, task, task)
    assert user_gs(processor) == other


def test_a_cpu_that_the_kernel_does_not_use_yet(
    guest: Guest, cpus: list[tuple[int, int]]
) -> None:
    processor = stop(guest, KERNEL_CS, 0, 0)
    assert (processor.cpu, processor.current) == (None, 0)
