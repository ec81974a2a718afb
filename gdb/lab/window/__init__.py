# SPDX-License-Identifier: GPL-2.0-only
"""What the window of `layout lab` shows."""
