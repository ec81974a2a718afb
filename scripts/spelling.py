#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Usage: scripts/spelling.py NAME KNOWN...

Prints the KNOWN name that is nearest to NAME, nothing if none is near: a variable that is
misspelt on make's command line would be ignored, and the lab not be as it was asked for.
"""

from __future__ import annotations

import difflib
import sys


def main() -> None:
    """Print the nearest of the names, whatever the case of their letters."""
    name, *known = sys.argv[1:]
    for near in difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.7):
        print(near)


if __name__ == "__main__":
    main()
