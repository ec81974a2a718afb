# SPDX-License-Identifier: GPL-2.0-only
"""What a member means, in a phrase."""
