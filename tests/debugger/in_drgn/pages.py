# SPDX-License-Identifier: GPL-2.0-only
"""Inside drgn: print page frames, and memory of a process, as JSON.

drgn -c DUMP -s VMLINUX pages.py PID PFN,... ADDRESS,...
"""

import json
import sys

from drgn import FaultError, Program
from drgn.helpers.linux import (
    access_process_vm,
    compound_head,
    find_task,
    page_to_pfn,
    pfn_to_page,
)

prog: Program

SIZE = 48  # bytes read at each address


# Some bits have several names
BITS = {
    name.removeprefix("PG_"): bit
    for name, bit in prog.type("enum pageflags").enumerators
    if bit < prog.constant("__NR_PAGEFLAGS")
}
FLAGS = (1 << prog.constant("__NR_PAGEFLAGS").value_()) - 1


def page(pfn: int) -> dict[str, object]:
    struct_page = pfn_to_page(prog, pfn)
    return {
        "page": struct_page.value_(),
        "flags": struct_page.flags.value_() & FLAGS,
        "refcount": struct_page._refcount.counter.value_(),
        "head": page_to_pfn(compound_head(struct_page)).value_(),
    }


def memory(pid: int, address: int) -> str | None:
    try:
        return access_process_vm(find_task(prog, pid), address, SIZE).hex()
    except FaultError:
        return None


pid, pfns, addresses = sys.argv[1:]
json.dump(
    {
        "pages": {pfn: page(int(pfn)) for pfn in filter(None, pfns.split(","))},
        "bits": BITS,
        "memory": {at: memory(int(pid), int(at)) for at in addresses.split(",")},
    },
    sys.stdout,
)
