# SPDX-License-Identifier: GPL-2.0-only
"""Which ELF file is mapped where in a process, and where its contents can be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Iterator

from ..linux import filemap, maps
from ..linux.structs.fs import File
from ..linux.structs.mm_types import VmAreaStruct
from ..linux.structs.x86 import VdsoImage
from ..target import hostfiles, kernel, structs
from ..target.cstruct import Ptr
from ..target.elffile import BadElf, Sample
from ..target.memory import PAGE_SIZE, Fault
from .symfile import SymbolFile, symbol_file

LARGEST = 64 << 20  # bytes of a file that is taken out of the guest's memory
structs.expect("vdso_image_64")


@dataclass(frozen=True)
class Module:
    """A file, and how far from its link addresses it is mapped."""

    file: SymbolFile
    bias: int


class Modules:
    """The files behind the areas of a process.

    :param where: the areas
    :param read: reads the process's memory, by address and size; raises Fault
    :param given: path of a file to try first, "" for none
    """

    def __init__(
        self, where: maps.Places, read: Callable[[int, int], bytes], given: str
    ) -> None:
        self.places = where
        self.read = read
        self.given = given
        self.unknown: set[str] = set()  # names of areas without a known file
        self.of_guest: set[
            str
        ] = set()  # names of areas whose file is the guest's own copy
        self._found: dict[int, SymbolFile | None] = {}

    def at(self, address: int) -> Module | None:
        """The file that is mapped at an address, None if it is not known."""
        area = self.places.find(address)
        if area is None:
            return None
        name = self.places.name(area)
        key = area.vm_file or area.vm_start
        if key not in self._found:
            self._found[key] = self._search(area, name, address)
        file = self._found[key]
        bias = None if file is None else _bias(area, file)
        if file is None or bias is None:
            self.unknown.add(name)
            return None
        if file.of_guest:
            self.of_guest.add(name)
        return Module(file, bias)

    def _search(self, area: VmAreaStruct, name: str, address: int) -> SymbolFile | None:
        for file in self._of_host(area):
            bias = _bias(area, file)
            if bias is not None and self._is_same(area, file, bias, address):
                return file
        return next(_of_guest(area, name), None)

    def _of_host(self, area: VmAreaStruct) -> Iterator[SymbolFile]:
        """Files of this machine that may be the one in memory, with its symbols."""
        if not area.vm_file:
            return
        paths = [(self.given, True)] if self.given else []
        paths += [
            (path, False) for path in hostfiles.candidates(self.places.path(area))
        ]
        for path, is_given in paths:
            try:
                yield symbol_file(path, is_given)
            except BadElf:
                continue

    def _is_same(
        self, area: VmAreaStruct, file: SymbolFile, bias: int, address: int
    ) -> bool:
        """Does the process's memory come from this file?

        Then it has the same build id; or, if the file has none, the same program headers
        and the same code in the page of the address.
        """
        if file.build_id is not None:
            return self._has(area, bias, file.build_id)
        samples = file.elf.program_headers(), file.elf.page(address - bias)
        return all(sample and self._has(area, bias, sample) for sample in samples)

    def _has(self, area: VmAreaStruct, bias: int, sample: Sample) -> bool:
        """Is this in memory, where the file would be mapped?"""
        size = len(sample.data)
        if not size:
            return False
        try:
            return self.read(sample.address + bias, size) == sample.data
        except Fault:
            pass  # the process never touched it; the guest's page cache may have it
        try:
            found = filemap.kernel_read(area.vm_file, sample.offset, size)
            return found == sample.data
        except Fault:
            return False


def _of_guest(area: VmAreaStruct, name: str) -> Iterator[SymbolFile]:
    """The file itself, out of the guest's memory; nothing if not all is there."""
    if area.vm_file:
        yield from _elf(lambda: _page_cache(area.vm_file), name)
    elif name == "[vdso]":
        yield from _elf(vdso_image, name)


def _bias(area: VmAreaStruct, file: SymbolFile) -> int | None:
    """How far an area is from its link address; None if the file has no such part."""
    offset = area.vm_pgoff * PAGE_SIZE if area.vm_file else 0
    linked = file.elf.address_of(offset)
    return None if linked is None else area.vm_start - linked


def _elf(read: Callable[[], bytes], name: str) -> Iterator[SymbolFile]:
    """An ELF file out of the guest's memory, nothing if it is not there."""
    try:
        yield SymbolFile(read(), name, of_guest=True)
    except (Fault, BadElf):
        return


def _page_cache(file: Ptr[File]) -> bytes:
    """A whole file out of the guest's page cache. Raises Fault."""
    return filemap.kernel_read_all(file, LARGEST)


def vdso_image() -> bytes:
    """The ELF file that 64-bit processes have mapped as [vdso]. Raises Fault.

    See arch/x86/include/asm/vdso.h.
    """
    guest = kernel.memory()
    image = VdsoImage(guest, Ptr[VdsoImage](structs.address_of("vdso_image_64")))
    if image.size > LARGEST:
        raise Fault(image.data, f"{image.size} bytes are no vdso")
    return guest.read(image.data, image.size)
