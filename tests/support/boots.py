# SPDX-License-Identifier: GPL-2.0-only
"""Boot the guest without a debugger: run a program in it, read its console."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Iterable

from support import labs

LIMIT = 120  # seconds, far more than a guest takes on a busy machine


def command(
    words: str, share: Path | None = None, image: Path | None = None
) -> list[str]:
    """Return the command line of a QEMU with the guest's console on standard in- and output.

    :param words: added to the kernel's command line
    :param share: the host's folder, if any
    :param image: the initramfs, by default the lab's own
    """
    kernel = labs.kernel_dir() / "vmlinux.pvh"
    image = image or labs.BUILD / "initramfs.cpio"
    for file in (kernel, image):
        assert file.exists(), f"{file} is not there: type make kernel image"
    # Ctrl-C is for the guest
    own = ["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]
    if share:
        where = str(share).replace(",", ",,")
        kind = "security_model=none,readonly=on"
        own += ["-fsdev", f"local,id=share,path={where},{kind}"]
        own += ["-device", "virtio-9p-device,fsdev=share,mount_tag=host_share"]
    return labs.guest(kernel, image, f"nokaslr {words}", "-accel", "tcg", *own)


def boot(
    program: str,
    args: Iterable[object] = (),
    share: Path | None = None,
    image: Path | None = None,
) -> str:
    """Run a program of the image to its end, and return the console's output."""
    words = f"lab.run={program} lab.then=reboot"
    given = ",".join(map(str, args))
    if given:
        words += f" lab.args={given}"
    ended = subprocess.run(
        command(words, share, image),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=LIMIT,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.replace("\r", "")


def exit_status(console: str, program: str) -> int:
    """Return the exit status of the program, as /init printed it."""
    statuses = [
        line.rsplit(" ", 1)[1]
        for line in console.splitlines()
        if line.startswith(f"lab: {program} exited with ")
    ]
    assert len(statuses) == 1, console
    return int(statuses[0])


def append_program(program: Path, tmp: Path) -> Path:
    """Make the image that PROGRAM= makes: the lab's, with a program at /lab/program."""
    alone = tmp / "program.cpio"
    made = labs.run("initramfs/build.sh", "--program", alone, program)
    assert made.returncode == 0, made.stderr
    image = tmp / "with-program.cpio"
    image.write_bytes((labs.BUILD / "initramfs.cpio").read_bytes() + alone.read_bytes())
    return image
