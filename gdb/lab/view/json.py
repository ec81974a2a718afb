# SPDX-License-Identifier: GPL-2.0-only
"""Results as JSON, for `make verify JSON=` and `seginfo json`."""

from __future__ import annotations

import json

from ..check.hit import Hit
from ..check.payload import Mismatch
from ..result import Drawing, Result, Table


def _value(value: int | bytes | str) -> int | str:
    return value.hex() if isinstance(value, bytes) else value


def _mismatch(one: Mismatch) -> dict[str, object]:
    return {
        "copy": one.copy,
        "field": one.field,
        "offset": one.offset,
        "expected": _value(one.expected),
        "found": _value(one.found),
    }


def _hit(hit: Hit) -> dict[str, object]:
    return {
        "comm": hit.task.comm,
        "pid": hit.task.tgid,
        "tid": hit.task.pid,
        "areas": hit.walk.areas if hit.walk else 0,
        "checks": hit.checks,
        "mismatches": [_mismatch(one) for one in hit.mismatches],
        "result": hit.result,
        "verdict_ms": round(hit.verdict_ms, 3),
    }


def hits_json(release: str, hits: list[Hit]) -> str:
    """All hits; names and paddings of mismatches are in hexadecimal."""
    failed = sum(not hit.passed for hit in hits)
    result = {
        "kernel": release,
        "hits": [_hit(hit) for hit in hits],
        "passed": len(hits) - failed,
        "failed": failed,
    }
    return json.dumps(result, indent=2) + "\n"


def result_json(result: Result) -> str:
    """What a lab command found: a list of its parts.

    A table is {"title", "rows": [{column: value}], "broken"}, a drawing is
    {"title", "data", "broken"}, and a sentence is a string. Addresses are
    numbers, names of the guest as printable.text_of() has them. A row is one line:
    with many rows that is quick to write and to read.
    """
    text = "[\n" + ",\n".join(map(_part, result.parts)) + "\n]\n"
    return text.replace("\x7f", r"\u007f")  # which json leaves as it is


def _part(part: Table | Drawing | str) -> str:
    if isinstance(part, str):
        return json.dumps(part)
    title, broken = json.dumps(part.title), json.dumps(part.broken)
    if isinstance(part, Drawing):
        data = json.dumps(part.data, indent=2)
        return f'{{"title": {title}, "data": {data}, "broken": {broken}}}'
    names = [column.name for column in part.columns]
    encode = json.JSONEncoder().encode
    rows = ",\n".join(f"  {encode(dict(zip(names, row)))}" for row in part.rows)
    return f'{{"title": {title}, "rows": [\n{rows}\n], "broken": {broken}}}'
