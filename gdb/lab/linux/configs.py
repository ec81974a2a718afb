# SPDX-License-Identifier: GPL-2.0-only
"""How the running kernel was configured, and its command line: kernel/configs.c, init/main.c.

The configuration is the copy that CONFIG_IKCONFIG puts into the kernel, as /proc/config.gz
shows it.
"""

from __future__ import annotations

import re
import zlib
from typing import Callable

from ..printable import text_of
from ..target import structs
from ..target.memory import Broken

START, END = "kernel_config_data", "kernel_config_data_end"
COMMAND_LINE = "saved_command_line"  # char *, init/main.c
LONGEST_LINE = 8192  # bytes; COMMAND_LINE_SIZE is 2048
LINE_STEP = 64
MOST = 4 << 20  # bytes of a configuration; today's have 300 KiB
GZIP = 16 + zlib.MAX_WBITS  # zlib's word for "with gzip's header"
OPTION = re.compile(rb"^(CONFIG_\w+)=(.*)$", re.M)
structs.expect("kernel_config_data", "kernel_config_data_end", "saved_command_line")

Read = Callable[[int, int], bytes]  # reads kernel memory, by address and size


def options(read: Read, moved: int = 0) -> dict[str, str] | None:
    """The options that are set, by name: {"CONFIG_NR_CPUS": "8", "CONFIG_SMP": "y", ...}.

    None for a kernel without a copy of its configuration.

    :param moved: how many bytes above its link addresses the kernel runs
    :raises Broken: the copy is damaged
    :raises Fault: it cannot be read
    """
    if not structs.has_symbol(START) or not structs.has_symbol(END):
        return None
    start, end = structs.address_of(START), structs.address_of(END)
    unpacker = zlib.decompressobj(GZIP)
    try:
        text = unpacker.decompress(read(start + moved, end - start), MOST)
    except zlib.error:
        raise Broken(f"the configuration at {start + moved:#x} is damaged") from None
    if not unpacker.eof:
        raise Broken(f"the configuration at {start + moved:#x} has no end")
    found = OPTION.findall(text)
    return {text_of(name): text_of(value) for name, value in found}


def command_line(read: Read, moved: int = 0) -> str:
    """The command line the kernel was started with, as /proc/cmdline has it.

    Cut off where it is longer than any.

    :raises Fault: it cannot be read
    """
    place = int.from_bytes(read(structs.address_of(COMMAND_LINE) + moved, 8), "little")
    line = b""
    while len(line) < LONGEST_LINE and b"\0" not in line:
        line += read(place + len(line), LINE_STEP)
    return text_of(line.split(b"\0")[0])
