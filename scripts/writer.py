# SPDX-License-Identifier: GPL-2.0-only
"""Copy standard input to standard output as cat does, and end with the lab: see guest.sh.

A program started from gdb may outlive it and hold the input open. So a line on the
descriptor given as the argument says that the lab has ended: what is in the pipe then is
all that is left to copy.
"""

from __future__ import annotations

import fcntl
import select
import signal
import struct
import sys
import termios
from os import read, write


def copy(size: int) -> int:
    """Copy up to size bytes and return how many there were, 0 at the end of the input."""
    data = read(0, size)
    rest = memoryview(data)
    while rest:
        rest = rest[write(1, rest) :]
    return len(data)


def main() -> None:
    """Copy until the last writer has closed the input, or the lab has ended."""
    end = int(sys.argv[1])
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    while True:
        ready, _, _ = select.select([0, end], [], [])
        if end in ready:
            break
        if not copy(1 << 16):
            return
    (left,) = struct.unpack("i", fcntl.ioctl(0, termios.FIONREAD, bytes(4)))
    while left:
        left -= copy(left)


if __name__ == "__main__":
    main()
