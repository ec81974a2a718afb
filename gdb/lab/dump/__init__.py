# SPDX-License-Identifier: GPL-2.0-only
"""Core files of the guest, which crash and drgn open."""
