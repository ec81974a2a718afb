# SPDX-License-Identifier: GPL-2.0-only
"""The package behind seginfo.py: read a stopped Linux kernel and check it.

Each room imports only from the rooms below it: see ARCHITECTURE.md.
"""
