# SPDX-License-Identifier: GPL-2.0-only
"""Recordings: what is in one, where a replay stands, and how to move through it."""
