# SPDX-License-Identifier: GPL-2.0-only
"""Results as JSON, for `make verify JSON=` and `seginfo json`."""

from __future__ import annotations

import json
from dataclasses import fields

from ..check.hits_file import HitsFile
from ..result import Drawing, Part, Report
from ..schema import heading, plain, written


def hits_json(hits: HitsFile) -> str:
    """All hits; names and paddings that differ are in hexadecimal."""
    return json.dumps(written(hits), indent=2) + "\n"


def report_json(report: Report) -> str:
    """What a lab command found: an object with the schema, then the report's fields.

    A table is {"title", "rows": [{column: value}], "broken"}, a drawing is
    {"title", "data", "broken"}, and a sentence is a string. Addresses are
    numbers, names of the guest as printable.text_of() has them. A row is one line:
    even many rows are quick to write and to read.
    """
    lines = [
        f"{json.dumps(name)}: {json.dumps(value)}"
        for name, value in heading(type(report)).items()
    ]
    for field in fields(report):
        value = _field(getattr(report, field.name))
        lines.append(f"{json.dumps(field.name)}: {value}")
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    return text.replace("\x7f", r"\u007f")  # which json leaves as it is


def _field(value: Part | list[Part] | None) -> str:
    if isinstance(value, list):
        return "[\n" + ",\n".join(map(_part, value)) + "\n]"
    return "null" if value is None else _part(value)


def _part(part: Part) -> str:
    if isinstance(part, str):
        return json.dumps(part)
    title, broken = json.dumps(part.title), json.dumps(part.broken)
    if isinstance(part, Drawing):
        data = json.dumps(plain(part.data), indent=2)
        return f'{{"title": {title}, "data": {data}, "broken": {broken}}}'
    names = [column.name for column in part.columns]
    encode = json.JSONEncoder().encode
    rows = ",\n".join(f"  {encode(dict(zip(names, row)))}" for row in part.rows)
    return f'{{"title": {title}, "rows": [\n{rows}\n], "broken": {broken}}}'
