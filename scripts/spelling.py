#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Usage: scripts/spelling.py NAME KNOWN...

Prints the KNOWN name nearest to NAME, or nothing if none is near. make would ignore a
variable misspelt on its command line, and run a lab other than the one asked for.
"""

from __future__ import annotations

import difflib
import sys


def main() -> None:
    """Print the nearest name, ignoring case."""
    name, *known = sys.argv[1:]
    for near in difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.7):
        print(near)


if __name__ == "__main__":
    main()
