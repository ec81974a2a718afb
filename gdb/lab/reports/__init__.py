# SPDX-License-Identifier: GPL-2.0-only
"""What each command shows, found out: describe() in the file of the command's name."""
