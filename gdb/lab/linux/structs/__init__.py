# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's structures that the lab reads, each declared once; a file is a header.

Optional[...] is a member that only some kernels, or only some configurations, have: the
comment says since or until when.
"""
