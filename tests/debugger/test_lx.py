# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own gdb commands, lx-..., and functions, $lx_...: each works or says why not."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any, Callable

import pytest

from support import guest_modules, labs
from support.hostile import check, names

# What to type if the name alone is not enough. NAME is a file to write.
TYPED = {
    "lx-configdump": ["lx-configdump NAME"],
    "lx-fdtdump": ["lx-fdtdump NAME"],
    "lx-device-list-tree": [
        'lx-device-list-tree $lx_device_find_by_class_name("tty", "ttyS0")'
    ],
    "lx-list-check": ["lx-list-check modules", "lx-list-check init_task.tasks"],
    "lx-mounts": ["lx-mounts", "lx-mounts 1"],
    "$lx_clk_core_lookup": ['print $lx_clk_core_lookup("x")'],
    "$lx_current": ["print $lx_current().pid"],
    "$lx_device_find_by_bus_name": [
        'print $lx_device_find_by_bus_name("platform", "serial8250")',
        'print $lx_device_find_by_bus_name("platform", "no such")',
    ],
    "$lx_device_find_by_class_name": [
        'print $lx_device_find_by_class_name("tty", "ttyS0")'
    ],
    "$lx_module": ['print $lx_module("hello").name'],
    "$lx_per_cpu": [
        'print $lx_per_cpu("runqueues", 1).cpu',
        'print $lx_per_cpu("runqueues")',
    ],
    "$lx_rb_first": ["print $lx_rb_first(&vmap_area_root)"],
    "$lx_rb_last": ["print $lx_rb_last(&vmap_area_root)"],
    "$lx_rb_next": ["print $lx_rb_next($lx_rb_first(&vmap_area_root))"],
    "$lx_rb_prev": ["print $lx_rb_prev($lx_rb_last(&vmap_area_root))"],
    "$lx_task_by_pid": ["print $lx_task_by_pid(1).comm"],
    "$lx_thread_info": ["print $lx_thread_info($lx_task_by_pid(1))"],
    "$lx_thread_info_by_pid": ["print $lx_thread_info_by_pid(1)"],
}

# What each prints at a hit with the module hello loaded, as a regular expression.
SAYS = {
    "lx-cmdline": r"lab\.run=",
    "lx-configdump": r"Dumped config to ",
    "lx-cpus": r"Online CPUs +: \[0, 1\]",
    "lx-device-list-bus": r"bus platform:\s+0x[^\n]*\n\s+dev ",
    "lx-device-list-class": r" dev ttyS0:",
    "lx-device-list-tree": r"dev ttyS0:",
    "lx-dmesg": r"\[ +\d+\.\d+\] Linux version ",
    "lx-iomem": r"[0-9a-f]+-[0-9a-f]+ : System RAM",
    "lx-ioports": r"03f8-03ff : serial",
    "lx-list-check": r"list is consistent",
    "lx-lsmod": r"0xffffffff\w+ hello +\d+  0",
    "lx-mounts": r"proc /proc proc rw",
    "lx-ps": r"\bprogram\b",
    "lx-symbols": r"never hit.*\nloading vmlinux\n",
    "lx-timerlist": r"HRTIMER_MAX_CLOCK_BASES: 8\n(.*\n)* #\d+: <0x\w+>, it_real_fn",
    "lx-version": r"Linux version ",
    "$lx_current": r"\$\d+ = \d+",
    "$lx_device_find_by_bus_name": r"\(struct device \*\) 0x",
    "$lx_device_find_by_class_name": r"\(struct device \*\) 0x",
    "$lx_module": r'"hello"',
    "$lx_per_cpu": r"\$\d+ = ",
    "$lx_rb_first": r"\(struct rb_node \*\) 0x",
    "$lx_rb_last": r"\(struct rb_node \*\) 0x",
    "$lx_rb_next": r"\(struct rb_node \*\) 0x",
    "$lx_rb_prev": r"\(struct rb_node \*\) 0x",
    "$lx_task_by_pid": r'"init',
    "$lx_thread_info": r"flags = ",
    "$lx_thread_info_by_pid": r"flags = ",
}

# Commands for which a kernel without clocks, power domains and device tree has no data.
REFUSES = {
    "lx-clk-summary": r"No clocks registered|clk_root_list",
    "lx-fdtdump": r"Kernel not compiled with CONFIG_OF",
    "lx-genpd-summary": r"No power domain\(s\) registered|gpd_list",
    "$lx_clk_core_lookup": r"clk_root_list",
    'print $lx_device_find_by_bus_name("platform", "no such")': r"there is none",
}

# Names that a careless form of escaping would show alike, or not at all
NAMES = [name[:15] for name in names()]
NAMES += [b"\\xff\xff", b"\xff\\xff", "\u3164\ufe0fx".encode(), "\x9b2J".encode()]

BEFORE = r"does not run yet.*let it boot first|head is not accessible|" + "|".join(
    REFUSES.values()
)
TRACES = re.compile(r"Python Exception|Error occurred in Python|Error while executing")


@pytest.fixture(scope="module")
def outputs(
    module: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What all of them print, in one guest, with the configuration that was dumped."""
    tmp = tmp_path_factory.mktemp("lx")
    port = labs.free_port()
    dumped = tmp / "dumped"
    given = {
        name: [line.replace("NAME", str(dumped)) for line in lines]
        for name, lines in TYPED.items()
    }
    given["names"] = [name.hex() for name in NAMES]
    program = guest_modules.carrier("timed.c", tmp, module("hello"))
    result = labs.inside("lx.py", port, tmp, given, (), PROGRAM=program)
    assert labs.leaks(port) == []
    result["config"] = dumped.read_text()
    return result


def test_all_are_known(outputs: dict[str, Any], kernel: Path) -> None:
    """gdb has just the ones that the scripts define, and this test knows each."""
    defined = set()
    for script in (kernel / "obj/scripts/gdb/linux").glob("*.py"):
        for name in re.findall(
            r"__init__\(\s*['\"](lx[-_]\w[\w-]*)", script.read_text()
        ):
            defined.add(name if name.startswith("lx-") else f"${name}")
    assert set(outputs["hit"]) == set(outputs["before"]) == defined
    assert defined - set(SAYS) == set(REFUSES) & defined


def test_before_boot(outputs: dict[str, Any]) -> None:
    """One sentence says to wait, and the symbols stay loaded."""
    for name, lines in outputs["before"].items():
        for line, answer in lines.items():
            text = answer["output"] + answer["failed"]
            assert re.search(BEFORE, text), (line, answer)
            assert not TRACES.search(text), (line, answer)
            assert len(text.strip().splitlines()) == 1 or name in REFUSES, (
                line,
                answer,
            )
    assert outputs["symbols_before"].startswith('Symbol "init_task" is static storage')


def test_at_a_hit(outputs: dict[str, Any]) -> None:
    """Each prints what it is for; only what this kernel lacks is refused."""
    for name, lines in outputs["hit"].items():
        for line, answer in lines.items():
            refusal = REFUSES.get(line) or REFUSES.get(name)
            if refusal:
                assert re.search(refusal, answer["failed"]), (line, answer)
                assert not TRACES.search(answer["failed"]), (line, answer)
            else:
                assert answer["failed"] == "", (line, answer)
                assert re.search(SAYS[name], answer["output"]), (line, answer)
    assert "CONFIG_SEGMENT_INFO=y\n" in outputs["config"]


def test_lx_symbols_says_what_it_gets_wrong(
    outputs: dict[str, Any], kernel: Path
) -> None:
    answer = outputs["hit"]["lx-symbols"]["lx-symbols"]["output"]
    assert "__init" in answer and "rmmod" in answer
    answer = answer[: answer.index(" get their addresses")]
    source = (kernel / "obj/scripts/gdb/linux/symbols.py").read_text()
    taken = source[source.index("for section_name in [") :].split("]")[0]
    assert set(re.findall(r"\.[\w.]*\w", answer)) == set(re.findall(r'"(.*?)"', taken))
    assert "do_init_module" in outputs["breakpoints"]
    assert outputs["symbols_hit"].startswith('Symbol "init_task" is static storage')


def test_a_hostile_name(outputs: dict[str, Any]) -> None:
    """Each is in its row, escaped so that no two are the same, and ends no list."""
    assert len({answer["output"] for answer in outputs["hostile"]}) == len(NAMES)
    for name, answer in zip(NAMES, outputs["hostile"], strict=True):
        assert answer["failed"] == ""
        check(answer["output"], name)
        rows = answer["output"].splitlines()
        assert len(rows) == len(outputs["hostile"][0]["output"].splitlines()), name
        last = f" {labs.shown(name)}"
        assert any(row.endswith(last) for row in rows), (last, rows)


def test_no_warning_from_a_new_python(kernel: Path) -> None:
    """Python 3.12 and later warn about invalid escapes."""
    for script in sorted((kernel / "obj/scripts/gdb/linux").glob("*.py")):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            compile(script.read_text(), script.name, "exec")
