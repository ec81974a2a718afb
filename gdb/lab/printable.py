# SPDX-License-Identifier: GPL-2.0-only
"""Bytes of the guest as text that a terminal shows and never obeys.

Any process of the guest may put any bytes in its name, in a path or on the console:
colours, the terminal's title, the person's clipboard, text that runs backwards. So
there is one form. A character that would not show as itself is escaped as in C and
Python: \\n, \\t, \\r; \\x1b for any other byte, also in what is not UTF-8; \\u202e or
\\U000e0041 for any other character. A backslash is doubled. So each name has its own text:
nobody can forge an escaped byte.

Run as a program this is a filter: a console's bytes in, text out.
"""

from __future__ import annotations

import codecs
import os
import re
import sys

PLAIN = bytes(range(0x20, 0x7F)) + b"\n"  # safe as they are
SHORT = {"\n": r"\n", "\t": r"\t", "\r": r"\r"}
CHARACTER = re.compile(r"\\x..|\\u.{4}|\\U.{8}|\\.|.")  # in what text_of() returned
# Default_Ignorable_Code_Point: shown as nothing, though isprintable() accepts them
IGNORED = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)


def text_of(name: bytes) -> str:
    """A name of the guest as text in one line, with backslashes doubled."""
    return one_line(name.decode("utf-8", "surrogateescape").replace("\\", "\\\\"))


def quoted(text: str, most: int) -> str:
    """What text_of() returned, in quotes; with dots if that has more characters."""
    characters = CHARACTER.findall(text)
    shown = "".join(r"\"" if char == '"' else char for char in characters[:most])
    return f'"{shown}"' + "..." * (len(characters) > most)


def one_line(text: str) -> str:
    """Text of ours, perhaps with such names in it, as one line.

    Backslashes stay as they are: they may belong to an escape.
    """
    return text if _is_shown(text) else "".join(map(_escaped, text))


def printable(text: str) -> str:
    """Text of ours as it goes to the person: a terminal obeys nothing but its newlines."""
    odd = text.encode("utf-8", "surrogatepass").translate(None, PLAIN)
    if not odd or _is_shown(odd.decode("utf-8", "surrogatepass")):
        return text  # quick even for a table of 65,000 rows
    return "\n".join(map(one_line, text.split("\n")))


def _is_shown(text: str) -> bool:
    """Does every character show as itself?"""
    return text.isprintable() and (text.isascii() or not IGNORED.search(text))


def _escaped(character: str) -> str:
    """A character, or its escape."""
    if _is_shown(character):
        return character
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:  # a byte that is no UTF-8, see PEP 383
        return f"\\x{number - 0xDC00:02x}"
    if number < 0x80:
        return SHORT.get(character, f"\\x{number:02x}")
    return f"\\u{number:04x}" if number < 1 << 16 else f"\\U{number:08x}"


def main() -> None:
    """Copy standard input to standard output, each piece when it comes."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    ended = ""  # a carriage return belongs to the line's end only before a newline
    while True:
        data = os.read(0, 1 << 16)
        text = ended + decoder.decode(data, final=not data)
        ended = "\r" * (text.endswith("\r") and bool(data))
        text = text.removesuffix(ended).replace("\r\n", "\n").replace("\\", "\\\\")
        os.write(1, printable(text.expandtabs()).encode("utf-8"))
        if not data:
            return


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        sys.exit(1)
