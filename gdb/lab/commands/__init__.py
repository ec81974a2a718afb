# SPDX-License-Identifier: GPL-2.0-only
"""The gdb commands: parse arguments, call, show."""
