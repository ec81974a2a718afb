# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/include/asm: ptrace.h, vdso.h."""

from __future__ import annotations

from ...target.cstruct import S64, U64, Ptr, Struct


class PtRegs(Struct, name="struct pt_regs"):
    """The registers of the code that was interrupted: asm/ptrace.h."""

    r15: U64
    r14: U64
    r13: U64
    r12: U64
    bp: U64
    bx: U64
    r11: U64
    r10: U64
    r9: U64
    r8: U64
    ax: U64
    cx: U64
    dx: U64
    si: U64
    di: U64
    orig_ax: U64
    ip: U64
    cs: U64
    flags: U64
    sp: U64
    ss: U64


class VdsoImage(Struct, name="struct vdso_image"):
    """The program the kernel gives each process: asm/vdso.h."""

    data: Ptr[object]
    size: U64
    sym_vvar_start: S64  # where its pages of data start, from its own start: negative
