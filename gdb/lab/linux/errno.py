# SPDX-License-Identifier: GPL-2.0-only
"""What a register says of a result: signed numbers, and errors by their names.

See include/linux/err.h and include/linux/errno.h.
"""

from __future__ import annotations

import errno
import os

MAX_ERRNO = 4095
# Of the kernel itself, never seen by the program: include/linux/errno.h
RESTARTS = {
    512: "ERESTARTSYS",
    513: "ERESTARTNOINTR",
    514: "ERESTARTNOHAND",
    516: "ERESTART_RESTARTBLOCK",
}


def to_int(register: int) -> int:
    """A register whose lower half is an int; the upper half may be anything."""
    value = register & 0xFFFF_FFFF
    return value - (value >> 31 << 32)


def to_long(register: int) -> int:
    """A register as a long."""
    return register - (register >> 63 << 64)


def is_error(value: int) -> bool:
    """IS_ERR_VALUE(), of a long."""
    return -MAX_ERRNO <= value < 0


def result_text(value: int) -> str:
    """A long that a call returned: a number, or an error by its name."""
    if not is_error(value):
        return str(value)
    return RESTARTS.get(-value) or errno.errorcode.get(-value) or str(value)


def error_text(value: int) -> str:
    """An error by its name, and what it means if programs know it."""
    name = result_text(value)
    if -value in errno.errorcode:
        name += f", {os.strerror(-value).lower()}"
    return name
