# SPDX-License-Identifier: GPL-2.0-only
"""The names that a hostile guest gives its processes and files, and what must be escaped."""

from __future__ import annotations

import codecs
import re

from support import labs

# Characters that a terminal obeys, that change the text's direction, or that are invisible
NEVER = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e01ef]"
)


def names() -> list[bytes]:
    """Read hostile_names[] from tests/guest/programs/hostile.h."""
    text = (labs.ROOT / "tests" / "guest" / "programs" / "hostile.h").read_text()
    inside = text[text.index("{") : text.index("};")]
    strings = re.findall(r'^\t"((?:[^"\\]|\\.)*)"', inside, re.M)
    found = [codecs.escape_decode(literal.encode())[0] for literal in strings]
    assert len(found) > 20 and b"two\nFAKE 1 row" in found
    return found


def check(text: str, what: object) -> None:
    """Check that a text has nothing in it that must not reach a terminal."""
    bad = NEVER.search(text)
    assert not bad, f"{what}: {bad[0]!r} in {text[max(0, bad.start() - 60) :][:120]!r}"
