# SPDX-License-Identifier: GPL-2.0-only
"""Flags that a program passes to the kernel: include/uapi.

Macros, so not in the debug info. The values are x86-64's and part of its ABI.
"""

from __future__ import annotations

import functools
from typing import Callable

from . import files, signals

PROT = {1: "PROT_READ", 2: "PROT_WRITE", 4: "PROT_EXEC", 0x0100_0000: "PROT_GROWSDOWN"}
MAP = {  # the lowest two bits are a number: 1 shared, 2 private, 3 shared and checked
    **{0x10: "MAP_FIXED", 0x20: "MAP_ANONYMOUS", 0x40: "MAP_32BIT"},
    **{0x100: "MAP_GROWSDOWN", 0x800: "MAP_DENYWRITE", 0x1000: "MAP_EXECUTABLE"},
    **{0x2000: "MAP_LOCKED", 0x4000: "MAP_NORESERVE", 0x8000: "MAP_POPULATE"},
    **{0x1_0000: "MAP_NONBLOCK", 0x2_0000: "MAP_STACK", 0x4_0000: "MAP_HUGETLB"},
    **{0x8_0000: "MAP_SYNC", 0x10_0000: "MAP_FIXED_NOREPLACE"},
}
MAP_TYPES = {1: "MAP_SHARED", 2: "MAP_PRIVATE", 3: "MAP_SHARED_VALIDATE"}
MREMAP = {1: "MREMAP_MAYMOVE", 2: "MREMAP_FIXED", 4: "MREMAP_DONTUNMAP"}
CLONE = {
    **{
        0x80: "CLONE_NEWTIME",
        0x100: "CLONE_VM",
        0x200: "CLONE_FS",
        0x400: "CLONE_FILES",
    },
    **{0x800: "CLONE_SIGHAND", 0x1000: "CLONE_PIDFD", 0x2000: "CLONE_PTRACE"},
    **{0x4000: "CLONE_VFORK", 0x8000: "CLONE_PARENT", 0x1_0000: "CLONE_THREAD"},
    **{0x2_0000: "CLONE_NEWNS", 0x4_0000: "CLONE_SYSVSEM", 0x8_0000: "CLONE_SETTLS"},
    **{0x10_0000: "CLONE_PARENT_SETTID", 0x20_0000: "CLONE_CHILD_CLEARTID"},
    **{0x40_0000: "CLONE_DETACHED", 0x80_0000: "CLONE_UNTRACED"},
    **{0x100_0000: "CLONE_CHILD_SETTID", 0x200_0000: "CLONE_NEWCGROUP"},
    **{0x400_0000: "CLONE_NEWUTS", 0x800_0000: "CLONE_NEWIPC"},
    **{0x1000_0000: "CLONE_NEWUSER", 0x2000_0000: "CLONE_NEWPID"},
    **{0x4000_0000: "CLONE_NEWNET", 0x8000_0000: "CLONE_IO"},
    **{1 << 32: "CLONE_CLEAR_SIGHAND", 1 << 33: "CLONE_INTO_CGROUP"},
}
WAIT = {
    **{1: "WNOHANG", 2: "WUNTRACED", 4: "WEXITED", 8: "WCONTINUED"},
    **{0x0100_0000: "WNOWAIT", 0x2000_0000: "__WNOTHREAD", 0x4000_0000: "__WALL"},
    **{0x8000_0000: "__WCLONE"},
}


def text(value: int, names: dict[int, str], low: dict[int, str] | None = None) -> str:
    """Flags by name, what has no name in hex; low names the lowest two bits.

    value is not negative: of an int its lower half.
    """
    found = [low.get(value & 3, "")] if low else []
    rest = value & ~3 if low else value
    for bit, name in names.items():
        if value & bit:
            found.append(name)
            rest &= ~bit
    if rest:
        found.append(f"{rest:#x}")
    return "|".join(filter(None, found)) or "0"


def prot_text(value: int) -> str:
    """The protection that mmap() or mprotect() is asked for."""
    return text(value, PROT) if value else "PROT_NONE"


def map_text(value: int) -> str:
    """The flags of mmap()."""
    return text(value, MAP, MAP_TYPES)


def open_text(value: int) -> str:
    """The flags of open()."""
    return "|".join(files.open_flag_names(value & 0xFFFF_FFFF))


def clone_text(value: int) -> str:
    """The flags of clone3() and unshare(), and those of struct kernel_clone_args."""
    return text(value, CLONE)


def _clone_text(value: int) -> str:
    """The flags of clone(): its lowest byte is the signal for the parent, CSIGNAL.

    Above the lowest 32 bits it ignores what clone3() has flags for.
    """
    value &= 0xFFFF_FFFF
    signal = value & 0xFF
    names = [clone_text(value - signal)] if value != signal or not signal else []
    return "|".join(names + [signals.signal_name(signal)] * bool(signal))


def _mode_text(value: int) -> str:
    """Permissions, as chmod(1) takes them."""
    return f"0{value:o}" if value else "0"


WITH_MODE = (  # of type umode_t; access() and others have a mode that is none
    *("open", "openat", "creat", "mkdir", "mkdirat", "mknod", "mknodat"),
    *("chmod", "fchmod", "fchmodat", "mq_open"),
)
BY_NAME: dict[str, Callable[[int], str]] = {
    "prot": prot_text,
    "sig": signals.signal_name,
}
BY_CALL: dict[tuple[str, str], Callable[[int], str]] = {
    ("mmap", "flags"): map_text,
    ("mremap", "flags"): functools.partial(text, names=MREMAP),
    ("open", "flags"): open_text,
    ("openat", "flags"): open_text,
    ("wait4", "options"): functools.partial(text, names=WAIT),
    ("waitid", "options"): functools.partial(text, names=WAIT | {2: "WSTOPPED"}),
    ("clone", "clone_flags"): _clone_text,
    ("unshare", "unshare_flags"): clone_text,
    ("umask", "mask"): _mode_text,
    **{(call, "mode"): _mode_text for call in WITH_MODE},
    ("pipe2", "flags"): open_text,
    ("dup3", "flags"): open_text,
    ("rseq", "sig"): hex,  # a signature in front of abort handlers, no signal
}


def names(function: str, parameter: str) -> Callable[[int], str] | None:
    """How an argument is told by name, None if it is a plain number."""
    return BY_CALL.get((function, parameter)) or BY_NAME.get(parameter)
