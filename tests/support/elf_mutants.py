# SPDX-License-Identifier: GPL-2.0-only
"""Read damaged copies of an ELF file with the lab's readers, without gdb.

    elf_mutants.py FILE COUNT

Each copy has some header fields changed, or bytes of the sections that the lab reads, or
is truncated; the seed is fixed. Reading may raise nothing but BadElf, and must not take
long. Prints the counts as JSON.
"""

import json
import random
import struct
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "gdb"))
from lab.programs.symfile import SymbolFile  # noqa: E402
from lab.target import elffile  # noqa: E402

SEED = 8
LIMIT = 10  # seconds for a copy
ODD = (0, 1, 2, 3, 7, 63, 64, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 40, 1 << 62)
ODD += ((1 << 63) - 1, 1 << 63, (1 << 64) - 1, (1 << 64) - 64)
READ = (".eh_frame", ".symtab", ".strtab", ".shstrtab", ".note.gnu.build-id")
READ += (".debug_line", ".debug_aranges", ".debug_info", ".debug_abbrev")
READ += (".debug_line_str", ".debug_str")


def odd_field(random: random.Random, data: bytearray, at: int, form: str) -> None:
    """Change one field of a structure."""
    fields = list(struct.unpack_from(form, data, at))
    number = random.randrange(len(fields))
    bits = 8 * struct.calcsize(f"<{form[1 + number]}")
    value = random.choice((*ODD, fields[number] ^ 1 << random.randrange(bits)))
    fields[number] = value & (1 << bits) - 1
    struct.pack_into(form, data, at, *fields)


def mutant(random: random.Random, whole: bytes, file: elffile.ElfFile) -> bytes:
    """Return a copy with a few faults of one kind."""
    data, head = bytearray(whole), file.header
    kind = random.choice(("header", "segment", "section", "bytes", "bytes", "end"))
    for _ in range(random.choice((1, 2, 5))):
        if kind == "header":
            odd_field(random, data, 24, "<QQQIHHHHHH")
        elif kind == "segment":
            at = head.e_phoff + random.randrange(head.e_phnum) * elffile.PHDR.size
            odd_field(random, data, at, "<IIQQQQQQ")
        elif kind == "section":
            known = [
                i for i, section in enumerate(file.sections) if section.name in READ
            ]
            at = head.e_shoff + random.choice(known) * elffile.SHDR.size
            odd_field(random, data, at, "<IIQQQQIIQQ")
        elif kind == "bytes":
            section = random.choice(
                [section for section in file.sections if section.name in READ]
            )
            first = section.sh_offset + random.randrange(section.sh_size)
            end = min(first + random.choice((1, 4, 64, 4096)), len(data))
            data[first:end] = random.choice(
                (b"\xff", b"\x80", b"\0", b"\x0a", random.randbytes(1))
            ) * (end - first)
        else:
            del data[random.randrange(len(data)) :]
            break
    return bytes(data)


def read_all(data: bytes, places: list[int]) -> SymbolFile:
    """Ask a file for everything that the lab may ask for."""
    file = SymbolFile(data, "a mutant", of_guest=False)
    file.variable("environ")
    for place in places:
        file.symbol(place)
        file.rules(place)
        file.line(place)
        file.elf.page(place)
    file.elf.program_headers()
    return file


def main() -> None:
    whole = Path(sys.argv[1]).read_bytes()
    source = random.Random(SEED)
    file = elffile.parse(elffile.Data(whole))
    text = next(section for section in file.sections if section.name == ".text")
    places = [text.sh_addr + text.sh_size * part // 40 for part in range(40)]
    main_, _ = next(
        (value, name)
        for name, *_, value, _ in struct.iter_unpack(
            "<IBBHQQ", file.data(file.section(".symtab"))
        )
        if file.data(file.section(".strtab"))[name:].startswith(b"main\0")
    )
    places.append(main_)
    assert read_all(whole, places).line(main_), "there are no lines to damage"
    found = {"mutants": int(sys.argv[2]), "refused": 0, "slowest": 0.0}
    found |= {"with symbols": 0, "with call frames": 0, "with lines": 0}
    for number in range(found["mutants"]):
        data, start = mutant(source, whole, file), time.monotonic()
        try:
            answers = read_all(data, places)
            found["with symbols"] += any(map(answers.symbol, places))
            found["with call frames"] += any(map(answers.rules, places))
            found["with lines"] += bool(answers.line(main_))
        except elffile.BadElf:
            found["refused"] += 1
        taken = time.monotonic() - start
        assert taken < LIMIT, f"mutant {number} takes {taken:.1f} s"
        found["slowest"] = max(found["slowest"], round(taken, 2))
    print(json.dumps(found))


main()
