# SPDX-License-Identifier: GPL-2.0-only
"""The package behind seginfo.py: read a stopped Linux kernel and check it.

Each module imports only from the floors below it: memory, layout, kernel
objects (task, mm, vma, path), the check (payload, syscall), view, commands.
"""
