# SPDX-License-Identifier: GPL-2.0-only
"""How a result looks. A view reads no memory and computes no verdict."""
