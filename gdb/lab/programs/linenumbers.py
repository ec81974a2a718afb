# SPDX-License-Identifier: GPL-2.0-only
"""The source line of an instruction, from DWARF: the one place that uses pyelftools.

pyelftools trusts what it reads, reads lazily, and raises a dozen kinds of exception. So it
is used here only, any exception means that the line is not known, and it gets only files
of this machine: how long it takes and what it allocates is up to the file.
"""

from __future__ import annotations

import io
import os

from elftools.dwarf.dwarfinfo import DWARFInfo
from elftools.dwarf.lineprogram import LineProgram
from elftools.elf.elffile import ELFFile


class Lines:
    """The line numbers of a file.

    :param data: all of the file
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._dwarf: DWARFInfo | None = None
        self._ranges = None
        self._is_read = False

    def find(self, address: int) -> tuple[str, int] | None:
        """File and line of the instruction at a link address, None if not known."""
        try:
            return self._find(address)
        except Exception:  # of any kind: the file is damaged or odd
            return None

    def _find(self, address: int) -> tuple[str, int] | None:
        if not self._is_read:
            self._is_read = True
            self._read()
        if self._dwarf is None or self._ranges is None:
            return None
        offset = self._ranges.cu_offset_at_addr(address)
        if offset is None:
            return None
        lines = self._dwarf.line_program_for_CU(self._dwarf.get_CU_at(offset))
        before = None
        for entry in lines.get_entries() if lines else ():
            state = entry.state
            if state is None:
                continue
            if before is not None and before.address <= address < state.address:
                return _file_name(lines, before.file), before.line
            before = None if state.end_sequence else state
        return None

    def _read(self) -> None:
        """Find which unit covers which addresses, if the file has debug info."""
        file = ELFFile(io.BytesIO(self._data))
        # .eh_frame alone counts as DWARF to pyelftools
        if file.get_section_by_name(".debug_aranges") is not None:
            dwarf = file.get_dwarf_info(follow_links=False)
            self._dwarf, self._ranges = dwarf, dwarf.get_aranges()


def _file_name(lines: LineProgram, number: int) -> str:
    """A file of a line program."""
    header = lines.header
    counts_from = 0 if header.version >= 5 else 1
    entry = header.file_entry[number - counts_from]
    name: str = entry.name.decode("utf-8", "replace")
    if entry.dir_index and not name.startswith("/"):
        folder = header.include_directory[entry.dir_index - counts_from]
        name = os.path.join(folder.decode("utf-8", "replace"), name)
    return name
