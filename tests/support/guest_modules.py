# SPDX-License-Identifier: GPL-2.0-only
"""Kernel modules for the guest: tests/guest/modules/NAME.c, built against the lab's kernel.

    ko = modules.build("hello", tmp_path)           # tmp_path/hello/hello.ko, with debug info
    program = modules.carrier("insmod.c", tmp_path, ko)  # a static program that carries it
    labs.verify(port, PROGRAM=program)               # loads hello, then is /bin/demo

insmod.c loads all modules it carries, then executes the program that its arguments name
(ARGS, separated by commas). A program of tests/guest/programs that loads and unloads
modules itself includes "carried.h". The fixture `module` builds each once a session.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Callable

import pytest

from support import labs

SOURCES = labs.ROOT / "tests" / "guest" / "modules"


def build(name: str, folder: Path, source: str = "", needs: Path | None = None) -> Path:
    """Build a module out of tree, without a warning, and return its .ko.

    :param name: the module's name, and that of its source unless source is given
    :param source: another module's name, to build a second module from its source
    :param needs: the .ko of a module whose symbols it uses
    """
    room = folder / name
    room.mkdir()
    shutil.copy(SOURCES / f"{source or name}.c", room / f"{name}.c")
    (room / "Makefile").write_text(f"obj-m := {name}.o\n")
    objects = labs.kernel_dir() / "obj"
    symbols = [f"KBUILD_EXTRA_SYMBOLS={needs.parent}/Module.symvers"] if needs else []
    done = labs.run("make", "-C", objects, f"M={room}", *symbols, "modules")
    output = done.stdout + done.stderr
    assert done.returncode == 0 and "warning" not in output.lower(), output
    return room / f"{name}.ko"


def carrier(source: str, folder: Path, *modules: Path) -> Path:
    """Compile a program of tests/guest/programs with modules in it, in loading order."""
    lines = [".section .note.GNU-stack", ".section .rodata"]
    table = [".balign 8", ".globl carried", "carried:"]
    for number, ko in enumerate(modules):
        image = folder / f"{ko.name}.carried"
        labs.run("objcopy", "--strip-debug", ko, image)
        lines += [f'name{number}: .asciz "{ko.stem}"', ".balign 16"]
        lines += [f'start{number}: .incbin "{image}"', f"end{number}:"]
        table.append(f".quad name{number}, start{number}, end{number} - start{number}")
    assembly = folder / f"{Path(source).stem}-carried.S"
    assembly.write_text("\n".join([*lines, *table, ".quad 0, 0, 0", ""]))
    return labs.compile_c(source, folder, "-static", "-pthread", str(assembly))


@pytest.fixture(scope="session")
def module(
    kernel: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """build() for the whole session, each module once."""
    folder = tmp_path_factory.mktemp("modules")
    done: dict[str, Path] = {}

    def built(name: str, source: str = "", needs: Path | None = None) -> Path:
        if name not in done:
            done[name] = build(name, folder, source, needs)
        return done[name]

    return built
