# SPDX-License-Identifier: GPL-2.0-only
"""Whether vmlinux and the running kernel belong together, and can be worked with."""

from __future__ import annotations

import re

from ..printable import text_of
from . import structs
from .debugger import Missing, Refused, debugger
from .kernel import is_fast, is_placed, memory, refresh
from .memory import START_KERNEL_MAP, Fault, Memory, Stub, read_stub
from .vmlinux import banner_of_symbols, file_contents

NOT_BOOTED = "The kernel does not run yet: continue to a breakpoint in it first."
TASK = "struct task_struct"
COMM = b"swapper\0"  # INIT_TASK_COMM, include/linux/init_task.h
INIT_TASK = {  # members of init_task, and what they point to: init/init_task.c
    **{"active_mm": "init_mm", "cred": "init_cred", "fs": "init_fs"},
    **{"files": "init_files", "signal": "init_signals", "sighand": "init_sighand"},
    **{"nsproxy": "init_nsproxy"},
}
_checked: Memory | None = None  # of the kernel that the symbols are known to fit


class Moved(Refused):
    """KASLR has moved the kernel; offset: by how many bytes."""

    def __init__(self, offset: int) -> None:
        super().__init__(
            f"KASLR is on: the kernel runs {offset >> 20} MiB above the addresses in "
            "vmlinux. Boot it with nokaslr on its command line; `lab random` alone works "
            "without."
        )
        self.offset = offset


def check_symbols() -> None:
    """Refuse symbols that the lab cannot work with; needs no target.

    :raises Refused: there are no kernel symbols, no debug info or no segment_info, or
        structures are not as the debug info has them
    """
    if not structs.has_symbol("linux_banner"):
        raise Refused(
            "No kernel symbols: start gdb on the vmlinux of the kernel that runs, "
            "or type `file PATH/TO/vmlinux`."
        )
    if not structs.has_type(TASK) or not structs.has_member(
        "struct mm_struct", "start_code"
    ):
        raise Refused(
            "This vmlinux has no debug info: build the kernel with "
            "CONFIG_DEBUG_INFO=y, as `make kernel` does."
        )
    if not structs.has_symbol("segment_info_fill"):
        raise Refused(
            "This kernel has no segment_info system call: build one with "
            "CONFIG_SEGMENT_INFO=y, as `make kernel` does."
        )
    wrong = misplaced_member()
    if wrong:
        raise Refused(
            f"The debug info does not fit this vmlinux: by it {wrong}. Its structures "
            "were put in random order, of which gcc's debug info does not know: build it "
            "with CONFIG_RANDSTRUCT_NONE=y, as `make kernel` does."
        )


@structs.cached
def misplaced_member() -> str:
    """A member of init_task that is not where the debug info has it, "" if all are.

    init_task is initialised when the kernel is built: init/init_task.c. It has members
    whose values are known, and that a kernel with structures in random order shuffles.
    """
    try:
        start, size = structs.address_of("init_task"), structs.sizeof(TASK)
        data = file_contents(start, size)
    except (Fault, Missing):
        return ""  # no kernel: other checks say so
    known = [("comm", COMM)]
    for name, symbol in INIT_TASK.items():
        if structs.has_symbol(symbol) and structs.has_member(TASK, name):
            known.append((name, structs.address_of(symbol).to_bytes(8, "little")))
    for name, value in known:
        place = structs.offsetof(TASK, name)
        if data[place : place + len(value)] != value:
            found = data.find(value)
            there = f", but it is at {found}" if found >= 0 else ", where it is not"
            return f"{name} is at byte {place} of init_task{there}"
    return ""


def check_running() -> bool:
    """Is the kernel in memory the one these symbols belong to?

    False while no kernel is mapped, so that nothing can be compared.

    :raises Moved: KASLR has moved it
    :raises Refused: it is another one, or page-table isolation hides
        it from a CPU in user mode
    """
    global _checked
    if _checked is memory():
        return True
    refresh()
    expected = banner_of_symbols()
    address = structs.address_of("linux_banner")
    try:
        found = _read(address, len(expected))
    except Fault:
        found = b""
    if found == expected:
        _check_build()
        _check_ram_file(address, expected)
        _checked = memory()
        return True
    moved = _find_moved(address, expected)
    if moved:
        raise Moved(moved)
    if not found and _in_user_mode():
        raise Refused(
            "This CPU is in user mode, where page-table isolation hides the kernel: "
            "continue to a breakpoint in the kernel, or select another CPU with `thread`."
        )
    if not found and not _kernel_is_mapped():
        return False
    running = text_of(found.split(b"\0")[0])
    if not running.startswith("Linux version"):
        running = "another one"
    raise Refused(
        "vmlinux is not the kernel that runs: the symbols are of "
        f"{_short(expected.decode())}, in memory is {_short(running)}. "
        "Start gdb on the vmlinux of the running kernel."
    )


def _check_ram_file(address: int, expected: bytes) -> None:
    """Give up a RAM file that is not this guest's, such as one left behind."""
    guest = memory()
    try:
        found = guest.read(address, len(expected))
    except Fault:
        found = b""
    if found != expected:
        debugger().say(
            f"the {guest.physical.name} is not this guest's memory: reading through the "
            "debug stub."
        )
        guest.physical = Stub()
        refresh()


def _check_build() -> None:
    """Refuse another build of the same version: its notes hold another build id.

    The lab builds kernels with a fixed date, so two builds can have the same banner.
    """
    start, end = structs.address_of("__start_notes"), structs.address_of("__stop_notes")
    if _read(start, end - start) != file_contents(start, end - start):
        raise Refused(
            "vmlinux is not the kernel that runs: it is another build of the same "
            "version. Start gdb on the vmlinux of the running kernel."
        )


def _short(banner: str) -> str:
    """Version and build of a banner without the compiler in the middle."""
    return re.sub(r"^Linux version (\S+) .*(#\d.*)$", r"\1 \2", banner.strip())


def _read(address: int, size: int) -> bytes:
    """Read the kernel as the stopped CPU sees it, before anything else is known of it.

    With page-table isolation a CPU in user mode sees little of it. The RAM file has it.
    """
    try:
        return read_stub(address, size)
    except Fault:
        if is_fast() and is_placed() and _in_user_mode():
            return memory().read(address, size)
        raise


def _in_user_mode() -> bool:
    registers = debugger()
    return registers.register("cs") & 3 == 3 and registers.register("rip") < 1 << 63


def _kernel_is_mapped() -> bool:
    """Does the stopped CPU execute kernel code (and not firmware)?"""
    return debugger().register("rip") >= START_KERNEL_MAP


def _find_moved(address: int, expected: bytes) -> int:
    """How far KASLR moved the image: 0 if the banner is nowhere else.

    KASLR moves in steps of CONFIG_PHYSICAL_ALIGN, 2 MiB or more, within the
    first GiB of the kernel's mapping.
    """
    step = 2 << 20
    if not _kernel_is_mapped():
        return 0
    for move in range(step, 1 << 30, step):
        try:
            if read_stub(address + move, len(expected)) == expected:
                return move
        except Fault:
            continue
    return 0
