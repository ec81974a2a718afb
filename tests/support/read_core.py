# SPDX-License-Identifier: GPL-2.0-only
"""Read a core file with the lab's package, without gdb: read_core.py CORE VMLINUX.

Prints JSON: all threads, the areas of each process, and what each processor runs.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "gdb"))

from lab.linux import maps, process, processors, task  # noqa: E402 (found only now)
from lab.target import files_debugger  # noqa: E402
from lab.target.debugger import use  # noqa: E402


def main() -> None:
    """See above."""
    core, vmlinux = sys.argv[1:]
    use(files_debugger.core(core, vmlinux))
    areas = {}
    for leader in task.for_each_process():
        owner = task.with_memory(leader)
        if owner is not None:
            found = maps.for_each_area(owner.mm, task.onlooker_root())
            areas[task.task(leader).pid] = [area._asdict() for area in found]
    result = {
        "threads": [thread._asdict() for thread in process.threads()],
        "areas": areas,
        "current": {
            processor.cpu: processor.current for processor in processors.processors()
        },
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
