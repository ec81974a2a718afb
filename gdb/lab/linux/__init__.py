# SPDX-License-Identifier: GPL-2.0-only
"""Linux concepts, one a file, named as the kernel names them."""
