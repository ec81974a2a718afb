# SPDX-License-Identifier: GPL-2.0-only
"""Inside drgn: print what it finds at addresses, as JSON; null where it knows nothing.

    drgn -c DUMP -s VMLINUX identify.py ADDRESS...
"""

import json
import sys
from typing import Optional

from drgn import Program
from drgn.helpers.common.memory import identify_address

prog: Program


def identified(address: int) -> Optional[str]:
    found: Optional[str] = identify_address(prog, address)
    return found


print(json.dumps([identified(int(word, 16)) for word in sys.argv[1:]]))
