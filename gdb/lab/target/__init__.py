# SPDX-License-Identifier: GPL-2.0-only
"""The stopped machine: its bytes, registers and symbols. Knows no Linux concept."""
