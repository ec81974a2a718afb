# SPDX-License-Identifier: GPL-2.0-only
"""The running kernel: where its memory is, whether the symbols fit it.

There is one inferior, so there is one kernel: memory() is the way every walker
reads. It is made when first needed and forgotten when the connection ends.
"""

from __future__ import annotations

import os
import re

import gdb

from . import elffile, hostfiles, layout, placement, settings, terminal
from .memory import (
    START_KERNEL_MAP,
    Fault,
    Memory,
    RamFile,
    Stub,
    find_ram_file,
    read_stub,
)
from .unforeseen import handler
from .printable import text_of

_memory: Memory | None = None
_placement: placement.Placement | None = None  # as it was found last
_checked = False

BANNER = b"Linux version "


def connect(socket: str) -> None:
    """Connect to the stub behind a unix socket, without a word.

    gdb would say where the processor is: at the reset vector, which it takes for
    whatever symbol comes before. Raises gdb.error.
    """
    folder, name = os.path.split(os.path.abspath(socket))
    before = os.getcwd()
    gdb.execute("set suppress-cli-notifications on")
    try:
        # By its last name, for gdb takes a path with a colon for a host and a port
        os.chdir(folder)
        gdb.execute(f"target remote {name}", to_string=True)
    finally:
        os.chdir(before)
        gdb.execute("set suppress-cli-notifications off")


def memory() -> Memory:
    """The stopped kernel's memory.

    Raises gdb.GdbError without a live target.
    """
    global _memory
    if _memory is None:
        inferior = gdb.selected_inferior()
        if not inferior.is_valid() or not inferior.threads():
            raise gdb.GdbError(
                "No kernel is connected: start one with `make debug`, or connect to "
                "the stub of another QEMU with `target remote`."
            )
        _memory = Memory(find_ram_file() or Stub())
        refresh()
    return _memory


def refresh() -> None:
    """Find again where the kernel's memory is, drop translations.

    What was found once is kept while nothing else is: the guest's own words for it may
    be damaged for a while. Paused before the kernel is mapped, the next stop finds it.
    """
    global _placement
    if _memory is None:
        return
    _memory.forget()
    if gdb.lookup_global_symbol("linux_banner") is None:
        return  # no kernel's symbols: nobody asks for its memory
    try:
        banner, physical = banner_of_symbols(), _memory.physical
    except gdb.GdbError:
        return  # check_running() says why
    if _placement is None or not placement.still_holds(physical, _placement, banner):
        _placement = placement.find(physical, banner) or _placement
    placement.place(_memory, _placement or placement.default())


def forget() -> None:
    """The connection ended or the symbols changed: start over."""
    global _memory, _checked, _placement
    _memory = _placement = None
    _checked = False


def check_symbols() -> None:
    """Refuse symbols with which the lab cannot work; needs no target.

    Raises gdb.GdbError: no kernel symbols, no debug info, no segment_info,
    randomised structures.
    """
    if not layout.has_symbol("linux_banner"):
        raise gdb.GdbError(
            "No kernel symbols: start gdb on the vmlinux of the kernel that runs, "
            "or type `file PATH/TO/vmlinux`."
        )
    if not layout.has_type("struct task_struct") or not layout.has_member(
        "struct mm_struct", "start_code"
    ):
        raise gdb.GdbError(
            "This vmlinux has no debug info: build the kernel with "
            "CONFIG_DEBUG_INFO=y, as `make kernel` does."
        )
    if not layout.has_symbol("segment_info_fill"):
        raise gdb.GdbError(
            "This kernel has no segment_info system call: build one with "
            "CONFIG_SEGMENT_INFO=y, as `make kernel` does."
        )
    if _structures_are_randomised():
        raise gdb.GdbError(
            "This kernel was built with structure randomisation, so its debug info "
            "cannot be trusted: build it with CONFIG_RANDSTRUCT_NONE=y."
        )


def _structures_are_randomised() -> bool:
    """Is mm_struct, which every randomised kernel shuffles, out of order?

    The boundaries stand in one block, in this order, since Linux 2.6.
    """
    names = ("start_code", "end_code", "start_data", "end_data")
    names += ("start_brk", "brk", "start_stack", "arg_start", "arg_end")
    places = [layout.offsetof("struct mm_struct", name) for name in names]
    return places != [places[0] + 8 * i for i in range(len(places))]


def file_contents(address: int, size: int) -> bytes:
    """Bytes at a link address as the vmlinux file has them.

    Works before the kernel is loaded and mapped. Raises Fault outside the file, and
    gdb.GdbError if it is no such file any more.
    """
    path = vmlinux()
    try:
        with hostfiles.opened(path) as file:
            found = elffile.parse(file).contents(address, size)
    except (hostfiles.Unfit, elffile.BadElf) as why:
        raise gdb.GdbError(
            f"{path}, which the symbols are from, cannot be read: {why}."
        ) from None
    if not found:
        raise Fault(address, "not in vmlinux")
    return found


def vmlinux() -> str:
    """The path of the file that the kernel's symbols come from."""
    return gdb.lookup_global_symbol("linux_banner").symtab.objfile.filename


@layout.cached
def banner_of_symbols() -> bytes:
    """linux_banner as the vmlinux file has it. Raises gdb.GdbError if it is not there."""
    try:
        banner = file_contents(layout.address_of("linux_banner"), 512)
    except Fault:
        banner = b""
    if not banner.startswith(BANNER):
        raise gdb.GdbError(
            "The symbols are not at the addresses of vmlinux: load them without an "
            "offset, as `file PATH/TO/vmlinux` does."
        )
    return banner.split(b"\0")[0]


def instructions(function: str) -> list[tuple[int, str, str]]:
    """Address, operation and operands of each instruction of a function.

    From vmlinux, so it works before the kernel is loaded and mapped. Raises
    gdb.error where there is no such function.
    """
    before = "on" if gdb.parameter("trust-readonly-sections") else "off"
    gdb.execute("set trust-readonly-sections on", to_string=True)
    try:
        with settings.needed():
            listing = gdb.execute(f"disassemble '{function}'", to_string=True)
    finally:
        gdb.execute(f"set trust-readonly-sections {before}", to_string=True)
    lines = re.findall(r"(0x[0-9a-f]+) <[^>]*>:\t(\S+) *(.*)", listing)
    return [(int(address, 16), name, operands) for address, name, operands in lines]


def check_running() -> bool:
    """Is the kernel in memory the one these symbols belong to?

    False while it cannot be told because no kernel is mapped yet. Raises
    gdb.GdbError if it is another one, or moved by KASLR.
    """
    global _checked
    if _checked:
        return True
    refresh()
    expected = banner_of_symbols()
    address = layout.address_of("linux_banner")
    try:
        found = read_stub(address, len(expected))
    except Fault:
        found = b""
    if found == expected:
        _check_build()
        _check_ram_file(address, expected)
        _checked = True
        return True
    moved = _find_moved(address, expected)
    if moved:
        raise gdb.GdbError(
            f"KASLR is on: the kernel runs {moved >> 20} MiB above the addresses in "
            "vmlinux. Boot it with nokaslr on its command line."
        )
    if not found and not _kernel_is_mapped():
        return False
    running = text_of(found.split(b"\0")[0])
    if not running.startswith("Linux version"):
        running = "another one"
    raise gdb.GdbError(
        "vmlinux is not the kernel that runs: the symbols are of "
        f"{_short(expected.decode())}, in memory is {_short(running)}. "
        "Start gdb on the vmlinux of the running kernel."
    )


def _check_ram_file(address: int, expected: bytes) -> None:
    """Do without a RAM file that is not this guest's, such as one left behind."""
    guest = memory()
    try:
        found = guest.read(address, len(expected))
    except Fault:
        found = b""
    if found != expected:
        terminal.write(
            f"seginfo: the {guest.physical.name} is not this guest's memory: reading "
            "through the debug stub.\n"
        )
        guest.physical = Stub()
        refresh()


def _check_build() -> None:
    """Refuse another build of the same version: its notes hold another build id.

    The lab builds kernels with a fixed date, so that banners can be the same.
    """
    start, end = layout.address_of("__start_notes"), layout.address_of("__stop_notes")
    if read_stub(start, end - start) != file_contents(start, end - start):
        raise gdb.GdbError(
            "vmlinux is not the kernel that runs: it is another build of the same "
            "version. Start gdb on the vmlinux of the running kernel."
        )


def _short(banner: str) -> str:
    """Version and build of a banner without the compiler in the middle."""
    return re.sub(r"^Linux version (\S+) .*(#\d.*)$", r"\1 \2", banner.strip())


def _kernel_is_mapped() -> bool:
    """Does the stopped CPU execute kernel code (and not firmware)?"""
    return layout.evaluate("(unsigned long)$pc") >= START_KERNEL_MAP


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


def release() -> str:
    """The version of the kernel the symbols belong to: uname -r."""
    found = re.match(rb"Linux version (\S+)", banner_of_symbols())
    return found.group(1).decode() if found else ""


def source() -> str:
    """Where reads come from, for the person: RAM file or debug stub."""
    return memory().physical.name


def is_fast() -> bool:
    """Do reads come from the RAM file?"""
    return isinstance(memory().physical, RamFile)


@handler("seginfo")
def _on_stop(event: object) -> None:
    refresh()


@handler("seginfo")
def _on_change(event: object) -> None:
    if _memory is not None:
        _memory.forget()


@handler("seginfo")
def _on_end(event: object) -> None:
    forget()


@handler("seginfo")
def _on_symbols(event: object) -> None:
    layout.forget()
    forget()


EVENTS = {
    "stop": _on_stop,
    "cont": _on_change,
    "memory_changed": _on_change,
    "exited": _on_end,
    "clear_objfiles": _on_symbols,
}


def watch(on: bool) -> None:
    """Follow gdb's events, so that no cache outlives what it was made from."""
    for name, function in EVENTS.items():
        registry = getattr(gdb.events, name)
        if on:
            registry.connect(function)
        else:
            registry.disconnect(function)
