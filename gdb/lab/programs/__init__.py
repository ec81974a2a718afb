# SPDX-License-Identifier: GPL-2.0-only
"""A user program's own files: ELF, symbols, call frames, its stack."""
