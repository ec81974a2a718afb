# SPDX-License-Identifier: GPL-2.0-only
"""What the tests share: each module says what in its first line."""
