# SPDX-License-Identifier: GPL-2.0-only
"""What execve() works with: include/linux/binfmts.h."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from ...target.cstruct import S32, U64, Ptr, Raw, Struct

if TYPE_CHECKING:
    from .fs import File
    from .mm_types import MmStruct


class LinuxBinprm(Struct, name="struct linux_binprm"):
    """A program that is being loaded: include/linux/binfmts.h."""

    mm: Ptr[MmStruct]
    p: U64
    file: Ptr[File]
    argc: S32
    envc: S32
    filename: Ptr[object]
    interp: Ptr[object]
    exec: U64
    buf: Raw


class LinuxBinfmt(Struct, name="struct linux_binfmt"):
    """A format of programs: include/linux/binfmts.h."""

    core_dump: Optional[Ptr[object]]  # with CONFIG_COREDUMP
