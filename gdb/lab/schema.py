# SPDX-License-Identifier: GPL-2.0-only
"""Whatever the lab writes as JSON begins with what it is, and of which version.

A Schema is a dataclass whose fields are the members behind that. notes/schemas.md is made
from all of them.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, ClassVar

from .version import VERSION


class Schema:
    """An object that is written as JSON. A subclass is a dataclass.

    With another member, or another meaning of one, a subclass gets another version.
    """

    known: ClassVar[dict[str, type[Schema]]] = {}  # by their names
    schema: ClassVar[str]
    version: ClassVar[int]

    def __init_subclass__(cls, schema: str = "", version: int = 1) -> None:
        if schema:
            cls.schema, cls.version = f"seginfo-{schema}", version
            Schema.known[cls.schema] = cls


def heading(kind: type[Schema]) -> dict[str, str | int]:
    """The members with which the JSON of a schema begins."""
    return {"schema": kind.schema, "version": kind.version, "seginfo": VERSION}


def is_of(data: Any, kind: type[Schema]) -> bool:
    """Is that a JSON object of a schema, in the version that this lab writes?"""
    return (
        isinstance(data, dict)
        and data.get("schema") == kind.schema
        and data.get("version") == kind.version
        and type(data["version"]) is int
    )


def written(data: Schema) -> dict[str, Any]:
    """An object as it is written."""
    members: dict[str, Any] = plain(data)
    return heading(type(data)) | members


def plain(value: Any) -> Any:
    """A value as JSON has it: an object for all that has named members."""
    if hasattr(value, "_asdict"):
        return {name: plain(item) for name, item in value._asdict().items()}
    if is_dataclass(value):
        return {
            member.name: plain(getattr(value, member.name)) for member in fields(value)
        }
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value.hex() if isinstance(value, bytes) else value
