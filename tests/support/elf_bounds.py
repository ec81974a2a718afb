# SPDX-License-Identifier: GPL-2.0-only
"""Measure how much memory the lab takes to read ELF files made to be costly, without gdb.

Writes, as JSON, the peak of Python's memory in multiples of the file's size, or how many
bytes of the file were read.
"""

import json
import sys
import tracemalloc
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "gdb"))
from lab.programs import symfile  # noqa: E402
from lab.target import elffile  # noqa: E402

SHT_SYMTAB, SHT_STRTAB, SHT_NOTE = 2, 3, 7
GLOBAL_FUNCTION = 0x12
NAME_ROOM = 1 << 20
BASE = 0x401000


def elf(sections: list[tuple[bytes, int, int, int]], body: bytes, names=None) -> bytes:
    """Make a file with a body and with sections, each linked to the next.

    :param sections: name, type, offset in the body, size of each
    :param names: offset and size of the sections' names, by default appended to the body
    """
    strings = b"\0" + b"\0".join(name for name, *_ in sections) + b"\0.shstrtab\0"
    start = elffile.EHDR.size
    where = names or (start + len(body), len(strings))
    rows = [(b"", 0, 0, 0)] + sections + [(b".shstrtab", SHT_STRTAB, *where)]
    table = b""
    for number, (name, kind, offset, size) in enumerate(rows):
        at = strings.index(b"\0" + name + b"\0") + 1 if name else 0
        place = offset if number == len(rows) - 1 else start + offset
        table += elffile.SHDR.pack(at, kind, 0, 0, place, size, number + 1, 0, 1, 0)
    shoff = start + len(body) + len(strings)
    counts = (64, 0, 0, 64, len(rows), len(rows) - 1)
    head = elffile.EHDR.pack(
        elffile.MAGIC + b"\2\1\1".ljust(12, b"\0"), 2, 62, 1, BASE, 0, shoff, 0, *counts
    )
    return head + body + strings + table


def symbols(count: int, names: bytes) -> bytes:
    """Make a file of so many symbols whose names start anywhere in the given bytes."""
    rows = b"".join(
        elffile.SYM.pack(
            1 + number * 7 % (len(names) - 1), GLOBAL_FUNCTION, 0, 1, BASE + number, 1
        )
        for number in range(count)
    )
    return elf(
        [
            (b".symtab", SHT_SYMTAB, 0, len(rows)),
            (b".strtab", SHT_STRTAB, len(rows), len(names)),
        ],
        rows + names,
    )


class Counted(elffile.Data):
    """A source that counts the bytes read from it, with zeroes after its data."""

    done = 0

    def __init__(self, data: bytes, size: int) -> None:
        super().__init__(data)
        self.size = size

    def read(self, offset: int, size: int) -> bytes:
        self.done += size
        return super().read(offset, size).ljust(size, b"\0")


def peak(count: int) -> tuple[float, str]:
    """Search a file of so many symbols: the memory it takes, and the name found."""
    data = symbols(count, b"\0" + b"n" * (NAME_ROOM - 1))
    tracemalloc.start()
    found = symfile.SymbolFile(data, "made", of_guest=True).symbol(BASE + count // 2)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most / len(data), found[0] if found else ""


def read_of(data: bytes, size: int) -> tuple[int, str]:
    """Parse a file: how many bytes are read for headers and build id; why no sections."""
    source = Counted(data, size)
    file = elffile.parse(source)
    file.build_id()
    return source.done, file.no_sections


def main() -> None:
    times, name = peak(100_000)
    found = {"times": times, "name": len(name)}
    most, symfile.MAX_SYMBOLS = symfile.MAX_SYMBOLS, 999
    found["too many"] = len(peak(1000)[1])
    symfile.MAX_SYMBOLS = most
    huge = 1 << 31
    found["names"] = read_of(elf([], b"", (0, huge)), huge)
    note = elffile.NOTE.pack(4, 0, 1) + b"GNU\0"
    body = note * (60_000 // len(note))
    notes = elf([(b"n", SHT_NOTE, 0, len(body))] * 1000, body)
    found["notes"] = read_of(notes, len(notes))[0], len(notes)
    print(json.dumps(found))


main()
