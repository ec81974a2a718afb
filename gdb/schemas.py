# SPDX-License-Identifier: GPL-2.0-only
"""Write the page about all JSON that the lab writes: `make schemas`. Runs in gdb.

It is made from the dataclasses themselves. LAB_RESULT in the environment names the file.
"""

import dataclasses
import importlib
import inspect
import os
import sys
import types
import typing
from pathlib import Path

import gdb

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab.replay import recording  # noqa: E402
from lab.result import Drawing, Report, Table  # noqa: E402
from lab.schema import Schema  # noqa: E402
from lab.target.cstruct import Ptr  # noqa: E402
from lab.trace.event import Entry, Event, own_members  # noqa: E402

for name in ("commands.explore", "commands.trace", "check.hits_file", "target.layout"):
    importlib.import_module(f"lab.{name}")  # all schemas are declared there, or below

HEAD = """\
# What the lab writes as JSON

Made from the lab's own dataclasses by `make schemas`; a test sees to it that it is current.

Every object begins with three members: `schema`, its name; `version`, which grows when a
member is added, or gets another meaning; `seginfo`, the version of the lab that wrote it.
Then the members below follow, in this order. An address is a number. Bytes of the guest are
text: what a terminal would obey is escaped (`\\x1b`), and a backslash is doubled.

A **table** is an object with `title`, `rows` and `broken`. A row is an object with the members
that are listed; `broken` says why the walk behind the table ended early, and is `""` if it did
not. A **drawing** has `title`, `data` and `broken`. A **sentence** is a string. A member is `null`
if the command has nothing to say there.

`lab COMMAND --json` writes `seginfo-COMMAND`.
"""
EVENTS = """\
## Events

Of `seginfo-trace`. All events begin with the same members:

- `number`: number, from 1
- `time_ns`: number, guest time since boot
- `cpu`, `pid`, `tid`: number
- `comm`: text
- `function`: text, of the kernel
- `what`: sentence
- `changes`: list of: what became of the address space: areas (`kind`, and the lists `before`
  and `after` of areas with `start`, `end`, `perms` and `name`) or a boundary of the mm (`kind`
  is `boundary`, and `boundary` its name, `before` and `after` addresses)
- `lines`: list of: text, a drawing
- `step`: text that tells one kind of event from another, in timelines with several steps

Behind them are those of its kind.
"""
KINDS = {
    "address": "address",
    "number": "number",
    "size": "bytes",
    "text": "text",
    "flags": "list of names",
    "check": "true, or the reason why it fails",
}


def page() -> str:
    """All schemas, those of commands first."""
    known = Schema.known.values()
    reports = [schema for schema in known if issubclass(schema, Report)]
    others = [schema for schema in known if not issubclass(schema, Report)]
    parts = [HEAD]
    for title, found in (("Commands", reports), ("Files", others)):
        parts.append(f"## {title}\n")
        found.sort(key=lambda schema: schema.schema)
        parts += [section(schema) for schema in found]
    parts.append(EVENTS)
    parts += [timeline(name, Event.kinds[name]) for name in sorted(Event.kinds)]
    return "\n".join(parts)


def timeline(name: str, kinds: list[type[Event]]) -> str:
    """All kinds of event of a timeline, each with its own members."""
    lines = [f"### lab trace {name}\n"]
    for kind in kinds:
        step = f"`{kind.step}`: " * bool(kind.step)
        lines.append(f"- {step}{doc(kind)}")
        hints = typing.get_type_hints(kind, include_extras=True)
        for own in own_members(kind):
            lines += member(own, hints[own], "  ")
    return "\n".join(lines) + "\n"


def section(kind: type[Schema]) -> str:
    """One schema."""
    lines = [f"### {kind.schema}, version {kind.version}\n", f"{doc(kind)}\n"]
    if kind is recording.Manifest:
        rows = list(form_rows(recording.FORM))[3:]
        return "\n".join([*lines, *rows]) + "\n"
    hints = typing.get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        lines += member(field.name, hints[field.name], "")
    return "\n".join(lines) + "\n"


def doc(kind: type) -> str:
    """The first paragraph of a docstring, in one line."""
    return " ".join(inspect.getdoc(kind).split("\n\n")[0].split())


def member(name: str, hint: object, indent: str) -> list[str]:
    """A member as an item of a list, with its own members below it."""
    optional = ""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)]
        optional = ", or null" * (len(kinds) < len(typing.get_args(hint)))
        if len(kinds) > 1:
            words = " or ".join(word(kind) for kind in kinds)
            lines = [f"{indent}- `{name}`: {words}{optional}"]
            for kind in kinds:
                lines += below(kind, indent + "  ")
            return lines
        hint = kinds[0]
    lines = [f"{indent}- `{name}`: {word(hint)}{optional}"]
    return lines + below(hint, indent + "  ")


def word(hint: object) -> str:
    """What a member is, in a word or two."""
    metadata = getattr(hint, "__metadata__", None)
    if metadata:
        return KINDS[metadata[0]]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Table:
        return f"table: {doc(arguments[0]).rstrip('.')}"
    if origin is Drawing:
        return f"drawing, `data`: {word(arguments[0])}"
    if origin is list:
        return f"list of: {word(arguments[0])}"
    if origin is dict:
        return "object"
    if type(None) in arguments:
        kinds = [word(kind) for kind in arguments if kind is not type(None)]
        return " or ".join([*kinds, "null"])
    if hint is Entry:
        return "event, see Events"
    if hint is Ptr:
        return "address"
    if hint is bool:
        return "true or false"
    if hint is str:
        return "sentence"
    if hint in (int, float):
        return "number"
    if isinstance(hint, type) and is_record(hint):
        return doc(hint).rstrip(".")
    return "any part" if hint is not typing.Any else "any value"


def below(hint: object, indent: str) -> list[str]:
    """The members of what a member holds."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Table:
        hints = typing.get_type_hints(arguments[0], include_extras=True)
        return [line for name in hints for line in member(name, hints[name], indent)]
    if hint is Entry:
        return []
    if origin in (Drawing, list):
        return below(arguments[0], indent)
    if isinstance(hint, type) and is_record(hint):
        hints = typing.get_type_hints(hint, include_extras=True)
        return [line for name in hints for line in member(name, hints[name], indent)]
    return []


def is_record(kind: type) -> bool:
    """Does it have named members?"""
    return dataclasses.is_dataclass(kind) or hasattr(kind, "_fields")


def form_rows(form: dict, indent: str = "") -> typing.Iterator[str]:
    """The members of a form such as FORM of lab/replay/recording.py."""
    for name, kind in form.items():
        if isinstance(kind, dict):
            yield f"{indent}- `{name}`: object"
            yield from form_rows(kind, indent + "  ")
        else:
            many = "list of text" if isinstance(kind, list) else ""
            plain = "number" if kind is int else "text"
            yield f"{indent}- `{name}`: {many or plain}"


Path(os.environ["LAB_RESULT"]).write_text(page())
gdb.execute("quit 0")
