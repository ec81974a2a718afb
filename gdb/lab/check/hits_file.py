# SPDX-License-Identifier: GPL-2.0-only
"""The hits as `make verify JSON=FILE` and `seginfo json FILE` write them."""

from __future__ import annotations

from dataclasses import dataclass

from ..schema import Schema
from .hit import Hit
from .payload import Mismatch


@dataclass
class MismatchRecord:
    """A value that differs from what the walk found."""

    copy: str  # kernel, delivered, list, return or guest
    field: str
    offset: int | None  # in struct segment_info, bytes
    expected: int | str  # a name in hexadecimal
    found: int | str


@dataclass
class HitRecord:
    """One call of segment_info()."""

    comm: str
    pid: int
    tid: int
    areas: int
    checks: int
    mismatches: list[MismatchRecord]
    result: int  # what the call returned
    verdict_ms: float  # from the stop to the verdict


@dataclass
class HitsFile(Schema, schema="hits", version=2):
    """All hits of a run; verified if there are some, all is well, and the program ended with 0."""

    kernel: str  # uname -r
    hits: list[HitRecord]
    passed: int
    failed: int
    unreturned: int  # calls that have not returned
    errors: list[str]  # why something could not be checked
    program_ended: int | None  # the program's exit status; None if it runs, or the guest ended first
    verified: bool


def hits_file(
    release: str,
    hits: list[Hit],
    unreturned: int,
    errors: list[str],
    program_ended: int | None,
) -> HitsFile:
    """All hits as a file has them.

    :param release: of the kernel: uname -r
    """
    failed = sum(not hit.passed for hit in hits)
    wrong = failed or unreturned or errors or program_ended != 0
    return HitsFile(
        kernel=release,
        hits=[_record(hit) for hit in hits],
        passed=len(hits) - failed,
        failed=failed,
        unreturned=unreturned,
        errors=errors,
        program_ended=program_ended,
        verified=bool(hits) and not wrong,
    )


def _record(hit: Hit) -> HitRecord:
    return HitRecord(
        comm=hit.task.comm,
        pid=hit.task.tgid,
        tid=hit.task.pid,
        areas=hit.walk.areas if hit.walk else 0,
        checks=hit.checks,
        mismatches=[_mismatch(mismatch) for mismatch in hit.mismatches],
        result=hit.result,
        verdict_ms=round(hit.verdict_ms, 3),
    )


def _mismatch(mismatch: Mismatch) -> MismatchRecord:
    return MismatchRecord(
        copy=mismatch.copy,
        field=mismatch.field,
        offset=mismatch.offset,
        expected=_value(mismatch.expected),
        found=_value(mismatch.found),
    )


def _value(value: int | bytes | str) -> int | str:
    return value.hex() if isinstance(value, bytes) else value
