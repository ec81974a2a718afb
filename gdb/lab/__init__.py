# SPDX-License-Identifier: GPL-2.0-only
"""The package behind seginfo.py: read a stopped Linux kernel and check it.

Each room imports only from those below it: target, linux, programs and explain,
replay, check and trace, view, commands. See ARCHITECTURE.md.
"""
