# SPDX-License-Identifier: GPL-2.0-only
"""All JSON that the lab writes begins with its schema and version.

A Schema is a dataclass whose fields are the members after these. notes/schemas.md is made
from all of them.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, ClassVar

from .version import VERSION


class Schema:
    """An object that is written as JSON. A subclass is a dataclass.

    A subclass gets a new version when a member is added or changes its meaning.
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
    """Is this a JSON object of a schema, in the version that this lab writes?"""
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
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value.hex() if isinstance(value, bytes) else value
