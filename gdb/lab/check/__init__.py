# SPDX-License-Identifier: GPL-2.0-only
"""The three-way check of one segment_info() call."""
