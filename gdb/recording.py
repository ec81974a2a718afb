# SPDX-License-Identifier: GPL-2.0-only
"""Finish a recording, or check that it can be replayed. Plain Python, without gdb.

In the environment LAB_STEP is seal or check, LAB_RECORDING the folder, LAB_VMLINUX the
kernel, LAB_QEMU the version that QEMU tells, LAB_MACHINE a file with QEMU's command line,
one word per line. seal writes the manifest, with what the other variables say; check
writes memory and kernel command line to the file LAB_OPENED, and a copy of the disk for
QEMU to LAB_DISK.
"""

import datetime
import os
import sys
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import mistakes  # noqa: E402 (found only now)
from lab.printable import one_line, printable  # noqa: E402
from lab.replay import recording  # noqa: E402
from lab.replay.moments import Moments  # noqa: E402
from lab.target import elffile, hostfiles  # noqa: E402


def build_id(vmlinux: str) -> str:
    """The build id of a vmlinux, in hex; it differs whenever the code does.

    Raises Refused if there is none.
    """
    try:
        with hostfiles.opened(vmlinux) as file:
            found = elffile.parse(file).build_id()
    except (hostfiles.Unfit, elffile.BadElf) as problem:
        raise recording.Refused(f"{vmlinux} cannot be read: {problem}") from None
    if found is None:
        raise recording.Refused(f"{vmlinux} has no build id: type make kernel")
    return found.data.hex()


def main() -> None:
    folder = Path(os.environ["LAB_RECORDING"])
    command = Path(os.environ["LAB_MACHINE"]).read_text().splitlines()
    version = os.environ["LAB_QEMU"]
    if os.environ["LAB_STEP"] == "check":
        manifest = recording.read(folder)
        build = build_id(os.environ["LAB_VMLINUX"])
        recording.check(manifest, build, version, command)
        try:
            Moments.load(folder / "moments.json")
        except ValueError:
            raise recording.Refused(
                f"{folder / 'moments.json'} is damaged: {recording.AGAIN}"
            ) from None
        recording.copy_disk(folder, Path(os.environ["LAB_DISK"]))
        lines = f"{manifest['memory']}\n{manifest['words']}\n"
        Path(os.environ["LAB_OPENED"]).write_text(lines)
        return
    now = datetime.datetime.now(datetime.timezone.utc)
    facts = {
        "made": now.isoformat(timespec="seconds"),
        "kernel": {
            "name": os.environ["LAB_KERNEL"],
            "release": os.environ["LAB_RELEASE"],
            "build_id": build_id(os.environ["LAB_VMLINUX"]),
        },
        "qemu": {"version": version, "command": command},
        "memory": os.environ["LAB_MEM"],
        "words": os.environ["LAB_WORDS"],
        "program": os.environ["LAB_PROGRAM"],
        "program_ended": os.environ["LAB_ENDED"],
    }
    recording.seal(folder, facts)


try:
    main()
except (recording.Refused, OSError) as problem:
    words = mistakes.refused(problem) if isinstance(problem, OSError) else str(problem)
    sys.exit(printable(f"error: {one_line(words)}."))
except Exception as problem:
    why = mistakes.mistake("make record", problem, mistakes.wanted(), "LAB_DEBUG=1")
    sys.exit(printable(why))
