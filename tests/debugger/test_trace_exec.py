# SPDX-License-Identifier: GPL-2.0-only
"""lab trace exec compared with the ELF files, and with what programs print as they start.

tests/guest/programs/exec_all.c executes one file after the other. Each is exec_shown.c,
linked in a different way, which prints its stack, auxiliary vector and /proc/self/maps
before it changes anything.
"""

from __future__ import annotations

import errno
import re
import shutil
import signal
import struct
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Iterator

import pytest
from elftools.elf.elffile import ELFFile

from support import labs
from support.traces import ARMED, Event, Trace, Traced

PAGE = 4096
ENVIRONMENT = ["FIRST=1", "SECOND=two words"]
FREE = ("-nostdlib", "-fno-stack-protector")
LINKED = {
    "static": (*FREE, "-static", "-no-pie"),
    "executable-stack": (*FREE, "-static", "-no-pie", "-Wl,-z,execstack"),
    "static-pie": (*FREE, "-static-pie", "-fPIE"),
    "aligned-pie": (*FREE, "-static-pie", "-fPIE", "-Wl,-z,max-page-size=0x10000"),
    "interpreted": (*FREE, "-pie", "-fPIE", "-Wl,--dynamic-linker=/t/static-pie"),
    "no-linker": (*FREE, "-pie", "-fPIE", "-Wl,--dynamic-linker=/no/linker"),
}
LINKER, LIBRARY = "/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/libc.so.6"
STARTED = (
    *("static", "static-pie", "aligned-pie", "interpreted", "dynamic"),
    *("executable-stack", "script", "script-of-script", "fixed", "old-layout"),
    *("many-strings", "no-arguments", "by-descriptor", "vfork", "thread"),
    *("orphaned-thread", "nested"),
)
REFUSED = {  # the error, and the function that returns it
    "missing": (errno.ENOENT, "do_open_execat"),
    "folder": (errno.EACCES, "do_open_execat"),
    "forbidden": (errno.EACCES, "do_open_execat"),
    "text": (errno.ENOEXEC, None),
    "nameless": (errno.ENOEXEC, None),
    "cut": (errno.ENOEXEC, None),
    "empty": (errno.ENOEXEC, None),
    "busy": (errno.ETXTBSY, "do_open_execat"),
    "orphan": (errno.ENOENT, "do_open_execat"),
    "no-linker": (errno.ENOENT, "do_open_execat"),
    "endless": (errno.ELOOP, None),
    "long-path": (errno.ENAMETOOLONG, None),
    "no-path": (errno.EFAULT, None),
    "kernel-path": (errno.EFAULT, None),
    "other-machine": (errno.ENOEXEC, None),
    "object": (errno.ENOEXEC, None),
    "small-headers": (errno.ENOEXEC, None),
    "no-headers": (errno.ENOEXEC, None),
    "incapable": (errno.EPERM, "begin_new_exec"),
    "too-long": (errno.E2BIG, "copy_strings"),
    "bad-pointer": (errno.EFAULT, "copy_strings"),
}
# Headers changed in copies of static: the offset in the file, the bytes, and why
# load_elf_binary() refuses it, "" if it does not
CHANGED = {
    "small-class": ([(4, b"\1")], ""),
    "other-machine": (
        [(4, b"\1"), (18, b"\3\0")],
        "32-bit ELF for e_machine 3, not for EM_X86_64",
    ),
    "object": ([(16, b"\1\0")], "ET_REL is neither ET_EXEC nor ET_DYN"),
    "small-headers": (
        [(54, b"\x20\0")],
        "its program headers have 32 bytes, not 56",
    ),
    "no-headers": ([(56, b"\0\0")], "it has no program headers"),
}
FAULTS = (*ARMED, "source tests/debugger/in_gdb/exec_faults.py")
AT_PHDR, AT_BASE, AT_ENTRY, AT_EXECFN = 3, 7, 9, 31
THREADS, COUNT = 8, 10
NOT_USER = 0xFFFF_8000_0000_0000  # no address of a program's


# --- The programs -------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files that are executed, by path in the guest."""
    folder = tmp_path_factory.mktemp("files")
    found = {}
    for name, link in LINKED.items():
        found[f"/t/{name}"] = labs.compile_c("exec_shown.c", folder, *link).rename(
            folder / name
        )
    dynamic = labs.compile_c("exec_dynamic.c", folder, "-pie", "-fPIE")
    found["/t/dynamic"] = dynamic.rename(folder / "dynamic")
    for library in (LINKER, LIBRARY):
        found[library] = Path(shutil.copy(library, folder))
    for name, (changes, _) in CHANGED.items():
        found[f"/t/{name}"] = changed(found["/t/static"], folder / name, changes)
    found["/t/torn"] = torn(found["/t/static"], folder / "torn")
    return found


def changed(program: Path, copy: Path, changes: list[tuple[int, bytes]]) -> Path:
    """Copy a program with other bytes in its ELF header."""
    data = bytearray(program.read_bytes())
    for offset, new in changes:
        data[offset : offset + len(new)] = new
    copy.write_bytes(data)
    return copy


def torn(program: Path, copy: Path) -> Path:
    """Copy a program, with a second PT_LOAD at a kernel address."""
    data = bytearray(program.read_bytes())
    (table,) = struct.unpack_from("<Q", data, 32)
    kind, *_ = struct.unpack_from("<I", data, table + 56)
    assert kind == 1
    struct.pack_into("<Q", data, table + 56 + 16, NOT_USER)
    copy.write_bytes(data)
    return copy


@pytest.fixture(scope="module")
def runner(files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """exec_all with all the files added."""
    folder = tmp_path_factory.mktemp("runner")
    return labs.with_files("exec_all.c", folder, files)


@pytest.fixture(scope="module")
def alone(runner: Path, traced: Traced) -> Trace:
    """All cases, one after the other."""
    return traced("exec --limit 5000", runner, FAULTS)


@pytest.fixture(scope="module")
def together(runner: Path, traced: Traced) -> Trace:
    """Eight threads that fork and execute at the same time."""
    return traced("exec --limit 9999", runner, ARGS=f"{THREADS},{COUNT}", SMP=2)


# --- What the guest printed ---------------------------------------------------


@dataclass
class Shown:
    """What a program printed about itself."""

    sp: int = 0
    argc: int = 0
    argv: list[tuple[int, str]] = field(default_factory=list)
    envp: list[tuple[int, str]] = field(default_factory=list)
    auxv: dict[int, int] = field(default_factory=dict)
    maps: list[tuple[int, int, str, str]] = field(default_factory=list)


def shown(console: str) -> dict[int, Shown]:
    """Return what each program printed, by process id."""
    found = {}
    blocks = re.findall(r"^begin (\w+)\n(.*?)^end$", console, re.DOTALL | re.MULTILINE)
    for pid, text in blocks:
        program = found[int(pid, 16)] = Shown()
        words, _, maps = text.partition("maps\n")
        tag = 0
        for line in words.splitlines():
            name, value, *rest = line.split(" ", 2)
            if name in ("argv", "envp"):
                getattr(program, name).append((int(value, 16), "".join(rest)))
            elif name == "tag":
                tag = int(value, 16)
            elif name == "value":
                program.auxv[tag] = int(value, 16)
            else:
                setattr(program, name, int(value, 16))
        for line in maps.splitlines():
            place, perms, _, _, _, *name = line.split(maxsplit=5)
            start, end = (int(part, 16) for part in place.split("-"))
            if name != ["[vsyscall]"]:
                program.maps.append((start, end, perms, "".join(name)))
    return found


def cases(console: str) -> dict[str, tuple[int, int]]:
    """Return the process id and the wait status of each case."""
    found = re.findall(r"^case (\S+) pid (\d+) status (\d+)$", console, re.MULTILINE)
    return {name: (int(pid), int(status)) for name, pid, status in found}


class Case:
    """The events of one case, and what its program printed."""

    def __init__(self, alone: Trace, name: str) -> None:
        self.pid, self.status = cases(alone.console)[name]
        self.events = [event for event in alone.events if event["pid"] == self.pid]
        self.shown = shown(alone.console).get(self.pid, Shown())

    def all(self, step: str) -> list[Event]:
        return [event for event in self.events if event["step"] == step]

    def only(self, step: str) -> Event:
        (found,) = self.all(step)
        return found

    @property
    def steps(self) -> list[str]:
        return [step for step, _ in groupby(event["step"] for event in self.events)]


@pytest.fixture(params=STARTED)
def started(request: pytest.FixtureRequest, alone: Trace) -> Case:
    """Each case in which a program was started."""
    return Case(alone, request.param)


def segments(file: Path) -> Iterator[dict[str, int]]:
    """Return each PT_LOAD as readelf -l shows it, with the kernel's names."""
    with file.open("rb") as data:
        for segment in ELFFile(data).iter_segments("PT_LOAD"):
            yield {
                "offset": segment["p_offset"],
                "vaddr": segment["p_vaddr"],
                "filesz": segment["p_filesz"],
                "memsz": segment["p_memsz"],
                "flags": segment["p_flags"],
            }


def entry(file: Path) -> int:
    with file.open("rb") as data:
        return ELFFile(data).header["e_entry"]


# --- Programs that start ------------------------------------------------------


def test_all_cases_went_as_meant(alone: Trace) -> None:
    assert "limit" not in alone.ended and "Not all could be read" not in alone.ended
    statuses = {name: status for name, (_, status) in cases(alone.console).items()}
    wanted = dict.fromkeys((*STARTED, "race", "small-class"), 42 << 8)
    wanted |= {name: error << 8 for name, (error, _) in REFUSED.items()}
    assert statuses == wanted | {"torn": signal.SIGSEGV}


def test_areas_are_those_of_maps(started: Case) -> None:
    """At start_thread(), and the changes of all steps add up to them."""
    start = started.only("start")
    at_start = [(a["start"], a["end"], a["perms"], a["name"]) for a in start["areas"]]
    if started.shown.maps:  # the dynamic program has changed its areas by then
        assert at_start == started.shown.maps
    areas: dict[int, tuple[int, str]] = {}
    for event in started.events:
        for change in event["changes"]:
            for old in change.get("before", ()) if "boundary" not in change else ():
                assert areas.pop(old["start"]) == (old["end"], old["perms"])
            for new in change.get("after", ()) if "boundary" not in change else ():
                assert new["start"] not in areas
                areas[new["start"]] = (new["end"], new["perms"])
    assert [(a, *areas[a]) for a in sorted(areas)] == [area[:3] for area in at_start]


def test_stack_is_what_the_program_found(started: Case) -> None:
    tables, shown = started.only("tables"), started.shown
    assert tables["argc"] == shown.argc == len(shown.argv)
    assert tables["envc"] == len(shown.envp)
    auxv = dict(map(tuple, tables["auxv"]))
    assert {tag: auxv[tag] for tag in shown.auxv} == shown.auxv
    if shown.sp:
        assert tables["sp"] == started.only("start")["sp"] == shown.sp
        assert {tag for tag in auxv if tag} == set(shown.auxv)


def test_entry_is_the_interpreters_or_the_programs(
    started: Case, files: dict[str, Path]
) -> None:
    handler = [event for event in started.all("handler") if event["takes"]][-1]
    start, auxv = started.only("start"), started.shown.auxv
    program = [event for event in started.all("map") if not event["interpreter"]][-1]
    assert auxv[AT_ENTRY] == program["bias"] + entry(files[program["path"]])
    if not handler["interpreter"]:
        assert start["ip"] == auxv[AT_ENTRY] and auxv[AT_BASE] == 0
        return
    loaded = next(event for event in started.all("map") if event["interpreter"])
    name = handler["interpreter"]
    assert loaded["bias"] == auxv[AT_BASE]
    assert start["ip"] == auxv[AT_BASE] + entry(files[name])


def test_each_segment_of_the_files_is_mapped(
    started: Case, files: dict[str, Path]
) -> None:
    """Segments without bytes from the file are not mapped by elf_load() (6.1.y)."""
    for path, run in groupby(started.all("map"), lambda event: event["path"]):
        events = list(run)
        mapped = [
            {
                name: event[name]
                for name in ("offset", "vaddr", "filesz", "memsz", "flags")
            }
            for event in events
            if event["filesz"]
        ]
        wanted = [segment for segment in segments(files[path]) if segment["filesz"]]
        # An aligned PIE is mapped and unmapped once, to find a place (v6.10 and 6.1.y)
        assert mapped[-len(wanted) :] == wanted and len(mapped) <= len(wanted) + 1
        for event in events[-len(wanted) :]:
            assert event["address"] == event["bias"] + event["vaddr"] // PAGE * PAGE
        assert len({event["bias"] for event in events[-len(wanted) :]}) == 1
        numbers = [event["number"] for event in events]
        assert numbers[-1] <= len(list(segments(files[path])))


def test_strings_are_where_the_program_found_them(started: Case) -> None:
    shown, shift = started.shown, started.only("stack")["shift"]
    envp = started.only("envp")
    assert envp["envp"] == [text for _, text in shown.envp] == ENVIRONMENT
    assert envp["p"] - shift == shown.envp[0][0]
    last = (started.all("script") or started.all("argv"))[-1]
    if last["argv"]:
        assert last["argv"] == [text for _, text in shown.argv]
        assert last["p"] - shift == shown.argv[0][0]
    if shown.sp:
        assert shown.auxv[AT_EXECFN] == envp["p"] - shift + envp["size"]


def test_steps_come_in_the_kernels_order(started: Case) -> None:
    wanted = ["call", "bprm", "envp", "argv", "open", "handler"]
    if "script" in started.steps:
        for _ in started.all("script"):
            wanted += ["open", "script", "handler"]
    if started.only("start")["ip"] != started.shown.auxv[AT_ENTRY]:
        wanted += ["open"]  # of the interpreter, once the handler has read its name
    wanted += ["begin", "layout", "move", "stack"]
    if not started.only("layout")["random"]:
        wanted.remove("move")
    steps = [step for step in started.steps if step not in ("map", "bss", "set_brk")]
    assert steps == wanted + ["vdso", "tables", "brk", "start", "return"]
    loading = started.steps[started.steps.index("stack") : started.steps.index("vdso")]
    assert {"map", "bss"} <= set(loading)


def test_drawings_have_their_marks_at_edges(started: Case) -> None:
    drawn = [
        event for event in started.events if event["step"] in ("bprm", "argv", "stack")
    ]
    assert len(drawn) == 3
    for event in (*drawn, started.only("tables")):
        picture, *rows = [row for row in event["lines"] if not row.startswith("auxv")]
        marks = [
            (found, row)
            for row in rows
            for found in re.finditer(r"└ [\w>-]+ [0-9a-f]+|\w+ [0-9a-f]+ ┘", row)
        ]
        assert 2 <= len(marks) and 1 <= len(rows) <= 3
        for found, _ in marks:
            text = found.group()
            assert picture[found.start() if text[0] == "└" else found.end() - 1] == "│"


def test_stack_is_as_large_as_drawn(started: Case) -> None:
    """The sizes in the last drawing add up, and the stack pointer is inside."""
    tables, areas = started.only("tables"), started.only("start")["areas"]
    stack = next(area for area in areas if area["name"] == "[stack]")
    assert stack["start"] <= tables["sp"] < stack["end"]
    marks = dict(re.findall(r"(\w+) ([0-9a-f]{6,})", "\n".join(tables["lines"][1:4])))
    assert int(marks["vm_start"], 16) == stack["start"]
    assert int(marks["vm_end"], 16) == stack["end"]
    assert int(marks["sp"], 16) == tables["sp"]


# --- Special cases -----------------------------------------------------------


def test_scripts_put_their_interpreter_in_front(alone: Trace) -> None:
    case = Case(alone, "script")
    assert case.only("script")["argv"] == ["/t/static", "-x  y", "/t/script"] + [
        *("two words", "")
    ]
    two = Case(alone, "script-of-script")
    assert [event["interpreter"] for event in two.all("script")] == [
        *("/t/script", "/t/static")
    ]
    new = "in the new program, /t/static for the script /t/script"
    assert f"{new}, " in case.only("return")["what"]
    assert f"{new}-of-script, " in two.only("return")["what"]


def test_randomness_can_be_turned_off(alone: Trace) -> None:
    fixed, random = Case(alone, "fixed"), Case(alone, "static")
    assert not fixed.only("layout")["random"] and random.only("layout")["random"]
    assert fixed.only("stack")["shift"] == 0 < random.only("stack")["shift"]
    assert fixed.only("stack")["end"] == 0x7FFF_FFFF_F000


def test_the_old_layout_is_upside_down(alone: Trace) -> None:
    assert Case(alone, "old-layout").only("layout")["down"] is False
    assert Case(alone, "static").only("layout")["down"] is True


def test_an_executable_stack_is_asked_for(alone: Trace) -> None:
    assert Case(alone, "executable-stack").only("stack")["perms"] == "rwxp"
    assert Case(alone, "static").only("stack")["perms"] == "rw-p"


def test_many_strings_make_the_new_stack_grow(alone: Trace) -> None:
    argv = Case(alone, "many-strings").only("argv")
    assert argv["count"] == 300 and argv["size"] == 300 * 100
    kinds = [change["kind"] for change in argv["changes"]]
    assert kinds == ["grown"]


def test_a_thread_becomes_its_process(alone: Trace) -> None:
    case = Case(alone, "thread")
    begin = case.only("begin")
    assert case.events[0]["tid"] == begin["old_tid"] != case.pid
    assert begin["tid"] == case.events[-1]["tid"] == case.pid
    assert len(begin["killed"]) == 4 and case.pid in begin["killed"]


def test_who_has_ended_is_not_killed(alone: Trace) -> None:
    begin = Case(alone, "orphaned-thread").only("begin")
    assert begin["killed"] == [] and "killed" not in begin["what"]


def test_of_several_threads_one_becomes_the_process(alone: Trace) -> None:
    """The other threads die in their calls, and each call has one end."""
    case = Case(alone, "race")
    called, ended = case.all("call"), case.all("return")
    assert len(called) > 1
    assert sorted(e["exec"] for e in called) == sorted(e["exec"] for e in ended)
    (won,) = [e for e in ended if e["result"] == 0]
    assert won["tid"] == case.pid and case.only("begin")["killed"]
    for event in ended:  # the other threads, during a step or at its end
        if event is not won:
            assert event["result"] is None or "SIGKILL" in event["pending"]
            assert "goes on" not in event["what"]


def test_a_vfork_leaves_the_memory_to_the_parent(alone: Trace) -> None:
    assert Case(alone, "vfork").only("begin")["users_left"] == 1
    assert Case(alone, "static").only("begin")["users_left"] == 0


def test_a_pid_namespace_has_numbers_of_its_own(alone: Trace) -> None:
    case, other = Case(alone, "nested"), Case(alone, "static")
    call = case.only("call")
    assert call["vnr"] == 2 and f"by {case.pid}, which is 2 in" in call["what"]
    assert other.only("call")["vnr"] == other.pid
    assert "namespace" not in other.only("call")["what"]


def test_a_descriptor_is_named(alone: Trace) -> None:
    case = Case(alone, "by-descriptor")
    assert case.only("call")["call"] == "execveat"
    assert case.only("bprm")["path"].startswith("/dev/fd/")
    assert case.only("open")["path"] == "/t/static"


def test_events_have_the_time_of_their_stop(alone: Trace) -> None:
    """Even the first, which is held back until it is known which process is followed."""
    call, made = alone.events[:2]
    assert (call["step"], made["step"]) == ("call", "bprm")
    assert call["time_ns"] < made["time_ns"]


# --- Programs that do not start -----------------------------------------------


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_say_who_refused(alone: Trace, name: str) -> None:
    case = Case(alone, name)
    wanted, function = REFUSED[name]
    end = case.events[-1]
    assert (end["step"], end["result"]) == ("return", -wanted)
    assert (end["refused"], end["gone"]) == (function, False)
    assert errno.errorcode[wanted] in end["what"]
    assert not case.all("begin")
    assert "the old program goes on" in end["what"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("text", "it begins with just, not with #!"),
        ("nameless", "no whole name of an interpreter is behind its #!"),
        ("cut", "no whole name of an interpreter is behind its #!"),
        ("empty", "it is empty, or begins with zeros"),
    ],
)
def test_what_is_no_script(alone: Trace, name: str, why: str) -> None:
    case = Case(alone, name)
    tried = [e for e in case.all("handler") if e["handler"] == "load_script"]
    assert [(event["takes"], event["why"]) for event in tried] == [(False, why)]
    assert "no handler takes the file" in case.events[-1]["what"]


@pytest.mark.parametrize("name", CHANGED)
def test_only_what_the_kernel_takes_is_taken(alone: Trace, name: str) -> None:
    """elf_check_arch() does not check EI_CLASS."""
    case, (_, why) = Case(alone, name), CHANGED[name]
    elf = [e for e in case.all("handler") if e["handler"] == "load_elf_binary"][-1]
    assert elf["takes"] is not bool(why) and elf.get("why", "") == why
    assert bool(why) == ("no handler takes the file" in case.events[-1]["what"])


def test_paths_of_the_kernels_are_not_read(alone: Trace) -> None:
    assert Case(alone, "kernel-path").only("call")["path"] is None


@pytest.mark.once
def test_who_fails_to_execute_is_not_followed(runner: Path, traced: Traced) -> None:
    """Before bprm_execve() or in it: the failed exec is reported, and nothing after it."""
    named = traced("exec /t/text", runner, ARGS="text")
    pids = [
        cases(named.console)[name][0] for name in ("text", "too-long", "bad-pointer")
    ]
    for pid in pids:
        steps = [event["step"] for event in named.events if event["pid"] == pid]
        assert steps[:2] == ["call", "bprm"] and steps[-1] == "return"
    assert {event["pid"] for event in named.events} == set(pids)
    assert traced("exit /t/text", runner, ARGS="text").events == []


def test_a_torn_program_is_noticed_too_late(alone: Trace) -> None:
    case = Case(alone, "torn")
    end = case.events[-1]
    assert case.all("begin") and end["gone"] and end["refused"] == "elf_map"
    assert end["pending"] == ["SIGSEGV"] and "SIGSEGV is pending" in end["what"]


IMPOSSIBLE = {  # reported as what cannot be followed, not as a mistake of the lab's
    "stack_lines([Part('a', 0, 8)], {0: 'start', 9: 'sp'})": "sp is 0x9, where no part",
    "stack_lines([Part('a', 8, 8)], {8: 'start'})": "start is 0x8, where no part",
    "binprm.copied(0, 16, 8)": "strings from 0x10 on end at 0x8",
    "binprm.first(0, 16, 17)": "no string ends between 0x10 and 0x11",
}


@pytest.mark.once
def test_impossible_stacks_are_told(port: int, tmp_path: Path) -> None:
    before = (
        *("source gdb/seginfo.py", "python from lab.trace.exec import binprm"),
        "python from lab.target.memory import Broken",
        "python from lab.trace.exec.stack_drawing import Part, stack_lines",
        "python binprm.mm_.access_process_vm = lambda mm, address, size: b'x'",
    )
    commands = [
        f"python\ntry:\n  {statement}\nexcept Broken as told:\n  print(told)\nend"
        for statement in IMPOSSIBLE
    ]
    answers = labs.inside("trace.py", port, tmp_path, commands, before)
    for text, wanted in zip(answers, IMPOSSIBLE.values()):
        assert wanted in text


# --- Many at once, and the first of all ---------------------------------------


@pytest.mark.once
@pytest.mark.slow
def test_nothing_is_lost_and_nothing_twice(together: Trace) -> None:
    made = dict(re.findall(r"^made (\S+) pid (\d+)$", together.console, re.MULTILINE))
    assert len(made) == THREADS * COUNT
    assert "Not all could be read" not in together.ended
    by_pid: dict[int, list[Event]] = {}
    for event in together.events:
        by_pid.setdefault(event["pid"], []).append(event)
    steps = set()
    for which, pid in made.items():
        events = by_pid.pop(int(pid))
        (argv,) = [event for event in events if event["step"] == "argv"]
        assert argv["argv"] == [which, "quiet"]
        assert len({event["exec"] for event in events}) == 1
        steps.add(tuple(event["step"] for event in events))
    assert len(steps) == 1  # all took the same steps
    assert len(by_pid) == 1  # of the program itself


def test_the_kernels_own_exec_is_followed(runner: Path, traced: Traced) -> None:
    init = traced("exec /init --limit 24", runner)
    first, argv = init.events[0], next(e for e in init.events if e["step"] == "argv")
    assert (first["call"], first["path"], first["pid"]) == ("kernel_execve", "/init", 1)
    assert argv["argv"][0] == "/init"  # after it, words of the command line for init
    assert "Nobody executed" not in init.ended
    begin = next(event for event in init.events if event["step"] == "begin")
    assert begin["old_mm"] == 0 and begin["comm"] == "init"
