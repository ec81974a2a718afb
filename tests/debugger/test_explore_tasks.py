# SPDX-License-Identifier: GPL-2.0-only
"""lab current, ps, threads, tree, task, files, kstack, ustack, regs compared with /proc.

All at one stopped moment: see support/witnessed.py.
"""

from __future__ import annotations

import errno
import re
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from support import guest_modules, labs
from support.reports import parts
from support.witnessed import Moment

Moments = Callable[..., Moment]
PF_KTHREAD = 0x0020_0000
TICK = 10_000_000  # nanoseconds of a clock tick in /proc, USER_HZ


@pytest.fixture(scope="module")
def moment(moments: Moments) -> Moment:
    """A moment with all scenes."""
    return moments()


def everyone(moment: Moment) -> Iterator[tuple[int, int]]:
    """Return process and thread ids of all threads that can be compared."""
    for pid in moment.users():
        for tid in moment.tids(pid):
            yield pid, tid


# --- lab ps, lab threads ------------------------------------------------------


def check_row(moment: Moment, row: dict[str, Any], pid: int, tid: int) -> None:
    """Compare a row of lab ps or lab threads with stat and status."""
    stat, status = moment.stat(pid, tid), moment.status(pid, tid)
    uids = [int(uid) for uid in status["Uid"].split()]
    assert row["tgid"] == pid
    assert row["ppid"] == int(status["PPid"])
    assert (row["uid"], row["euid"]) == (uids[0], uids[1])
    assert row["state"] == stat[3], (pid, tid)
    assert row["cpu"] == int(stat[39])
    assert row["threads"] == int(stat[20])
    comm = moment.snapshot[f"/proc/{pid}/task/{tid}/comm"].removesuffix(b"\n")
    assert row["comm"] == labs.shown(comm)


def test_ps(moment: Moment) -> None:
    rows = {row["pid"]: row for row in moment.table("ps")}
    for pid in moment.users():
        check_row(moment, rows[pid], pid, pid)
    assert len(moment.users()) > 40


def test_ps_has_the_kernel_threads_in_brackets(moment: Moment) -> None:
    rows = {row["pid"]: row for row in moment.table("ps")}
    kernels = [pid for pid in moment.pids() if int(moment.stat(pid)[9]) & PF_KTHREAD]
    both = [pid for pid in kernels if pid in rows]
    assert len(both) > 15
    for pid in both:
        name = rows[pid]["comm"]
        assert name[0] == "[" and name[-1] == "]"
        # /proc appends what a worker is working on, and may have a longer name than comm
        assert moment.stat(pid)[2].startswith(name[1:-1]), pid


def test_threads(moment: Moment) -> None:
    idle, rows = [], []
    for row in moment.table("threads"):
        (rows if row["pid"] else idle).append(row)
    assert [row["comm"].strip("[]") for row in idle] == ["swapper/0", "swapper/1"]
    found = {row["pid"]: row for row in rows}
    assert len(found) == len(rows)
    for pid, tid in everyone(moment):
        check_row(moment, found[tid], pid, tid)
    ours = {row["pid"] for row in rows if row["tgid"] in moment.users()}
    assert ours == {tid for _, tid in everyone(moment)}


def test_all_tasks_and_their_stacks(
    port: int, module: Callable[..., Path], tmp_path: Path
) -> None:
    """A module walks the kernel's lists, and asks each CPU for its idle task."""
    program = guest_modules.carrier("oracle.c", tmp_path, module("oracle"))
    commands = (*labs.TO_A_HIT, "lab threads --json", "kill")
    output = labs.debug(port, *commands, PROGRAM=program)
    rows = parts(output[output.index("{\n") :].partition("\n}\n")[0] + "}")[0]["rows"]
    lines = re.findall(r"oracle: task (.*)", labs.console_log(port))
    known = [
        tuple(int(word, 10 + 6 * (i > 1)) for i, word in enumerate(line.split()[:5]))
        for line in lines
        if "kworker" not in line  # these start and end between the two walks
    ]
    # A thread that kthreadd starts after the module's walk has kthreadd's name at first
    newest = max(int(line.split()[0]) for line in lines)
    names = ("pid", "tgid", "task", "stack", "stack_end")
    rows = [
        row
        for row in rows
        if "kworker" not in row["comm"]
        and not (row["comm"].startswith("[") and row["pid"] > newest)
    ]
    found = [tuple(row[name] for name in names) for row in rows]
    assert found == known and len(known) > 15
    assert [row["comm"].strip("[]") for row in rows[:2]] == ["swapper/0", "swapper/1"]


# --- lab tree -----------------------------------------------------------------


def test_tree_has_every_process_below_its_parent(moment: Moment) -> None:
    (tree,) = moment.lab("tree")
    assert tree["broken"] == ""
    rows = tree["data"]
    assert rows[0]["pid"] == 0 and rows[0]["depth"] == 0
    above: list[int] = []  # the pids on the path to the previous row
    parents = {}
    for row in rows:
        del above[row["depth"] :]
        if above:
            parents[row["pid"]] = above[-1]
        above.append(row["pid"])
    for pid in moment.users():
        assert parents[pid] == moment.ppid(pid)
    assert parents[1] == parents[2] == 0
    assert set(parents) >= set(moment.users())


def test_tree_of_one_process(moment: Moment) -> None:
    pid = moment.pid("family")
    (tree,) = moment.lab(f"tree {pid}")
    family = {pid}
    for child in sorted(moment.pids()):
        if moment.ppid(child) in family:
            family.add(child)
    assert {row["pid"] for row in tree["data"]} == family
    output = moment.gdb(f"lab tree {pid}")
    assert len(output.splitlines()) == len(family)


# --- lab task -----------------------------------------------------------------

CAPABILITIES = {
    "CapInh": "cap_inheritable",
    "CapPrm": "cap_permitted",
    "CapEff": "cap_effective",
    "CapBnd": "cap_bset",
    "CapAmb": "cap_ambient",
}
SIGNALS = {
    "SigPnd": ("pending.signal", "wait for this thread"),
    "ShdPnd": ("signal->shared_pending.signal", "wait for any thread"),
    "SigBlk": ("blocked", "have to wait"),
    "SigIgn": ("sighand->action", "ignored"),
    "SigCgt": ("sighand->action", "caught by a handler"),
}


class Facts:
    """The report of `lab task PID`."""

    def __init__(self, moment: Moment, tid: int) -> None:
        self.themes = {
            part["title"]: part["rows"]
            for part in moment.lab(f"task {tid}")
            if isinstance(part, dict)
        }
        self.rows = [row for rows in self.themes.values() for row in rows]

    def row(self, *members: str, meaning: str = "") -> dict[str, Any]:
        """Return the row of a member, by any of its names; {} if there is none."""
        for row in self.rows:
            if row["member"] in members and meaning in ("", row["meaning"]):
                return row
        return {}

    def number(self, *members: str) -> int:
        """Return a member's value."""
        return int(self.row(*members)["value"], 0)


def test_task_themes(moment: Moment) -> None:
    facts = Facts(moment, moment.pid("static"))
    assert list(facts.themes) == [
        "identity",
        "state and exit state",
        "scheduling",
        "family",
        "memory",
        "files",
        "signals",
        "stack and thread_info",
    ]
    assert len(facts.rows) > 120
    for row in facts.rows:
        assert row["type"] and row["meaning"], row
        assert "unreadable" not in row["value"] + row["says"], row


def test_task_is_proc_stat(moment: Moment) -> None:
    for pid, tid in everyone(moment):
        facts, stat = Facts(moment, tid), moment.stat(pid, tid)
        assert facts.number("pid") == tid and facts.number("tgid") == pid
        ended = stat[3] in "ZX"
        assert facts.row("__state", "state")["value"], tid
        if not ended:  # a task that has ended has no process group any more
            pgid = facts.row("signal->pids[PIDTYPE_PGID]")["says"]
            sid = facts.row("signal->pids[PIDTYPE_SID]")["says"]
            assert [pgid, sid] == [stat[5], stat[6]]
        assert facts.number("flags") == int(stat[9])
        assert facts.number("min_flt") == int(stat[10])
        assert facts.number("maj_flt") == int(stat[12])
        assert facts.number("prio") - 100 == int(stat[18])
        assert facts.number("static_prio") - 120 == int(stat[19])
        assert facts.number("start_boottime") // TICK == int(stat[22])
        assert facts.number("exit_signal") == int(stat[38])
        assert facts.number("cpu", "thread_info.cpu") == int(stat[39])
        assert facts.number("rt_priority") == int(stat[40])
        assert facts.number("policy") == int(stat[41])


def test_task_is_proc_status(moment: Moment) -> None:
    for pid, tid in everyone(moment):
        facts, status = Facts(moment, tid), moment.status(pid, tid)
        for name, kind in (("Uid", "uid"), ("Gid", "gid")):
            four = [f"{prefix}{kind}" for prefix in ("", "e", "s", "fs")]
            found = [facts.number(f"cred->{credential}.val") for credential in four]
            assert found == [int(word) for word in status[name].split()]
        for name, member in CAPABILITIES.items():
            assert facts.number(f"cred->{member}") == int(status[name], 16)
        for name, (member, meaning) in SIGNALS.items():
            row = facts.row(member, meaning=meaning)
            mask = int(row["value"], 0) if row else 0  # sighand is released at the end
            assert mask == int(status[name], 16), (tid, name)
        assert facts.row("cpus_mask")["says"] == status["Cpus_allowed_list"]
        assert facts.number("nvcsw") == int(status["voluntary_ctxt_switches"])
        assert facts.number("nivcsw") == int(status["nonvoluntary_ctxt_switches"])
        no_new_privs = facts.number("atomic_flags") & 1
        assert no_new_privs == int(status["NoNewPrivs"])
        if "Umask" in status:
            assert facts.row("fs->umask")["says"] == status["Umask"].lstrip("0").zfill(
                len(facts.row("fs->umask")["says"])
            )


def test_task_tells_who_is_its_family(moment: Moment) -> None:
    for pid in moment.users():
        facts = Facts(moment, pid)
        ppid = moment.ppid(pid)
        comm = labs.shown(moment.comm(ppid)) if ppid else "swapper/0"
        assert facts.row("real_parent")["says"] == f"{comm} {ppid}"
    tracer = Facts(moment, moment.pid("family", "tracer"))
    traced = moment.pid("family", "traced")
    assert tracer.row("ptraced")["says"] == "1 entry"
    facts = Facts(moment, traced)
    assert "PT_PTRACED" in facts.row("ptrace")["says"]
    assert facts.row("exit_code")["says"] == "stopped by SIGUSR1"
    assert moment.status(traced)["TracerPid"] == facts.row("parent")["says"].split()[-1]


def test_task_in_every_state(moment: Moment) -> None:
    def facts(comm: str) -> Facts:
        return Facts(moment, moment.pid("family", comm))

    zombie = facts("zombie")
    assert zombie.row("exit_state")["says"] == "EXIT_ZOMBIE"
    assert zombie.row("exit_code")["says"] == "exit status 3"
    assert zombie.row("mm")["value"] == zombie.row("files")["value"] == "0x0"
    assert facts("killed zombie").row("exit_code")["says"] == "killed by SIGKILL"
    stopped = facts("stopped").row("__state", "state")["says"]
    assert "__TASK_STOPPED" in stopped and "sleeps in do_signal_stop" in stopped
    waiting = facts("vfork parent")
    child = moment.pid("family", "vfork child")
    assert Facts(moment, child).number("vfork_done") != 0
    assert waiting.number("vfork_done") == 0
    signals = facts("with signals")
    queue = signals.row(
        "signal->shared_pending", meaning="in order, with what they carry"
    )
    assert queue["says"] == "SIGTERM SIGRTMIN+1 SIGRTMIN+1 SIGRTMIN+1"
    assert signals.row("pending.signal")["says"] == "SIGUSR1"
    assert signals.row("blocked")["says"] == "SIGUSR1 SIGTERM SIGRTMIN+1"
    assert facts("fifo").row("policy")["says"] == "SCHED_FIFO"
    assert facts("fifo").row("sched_class")["says"] == "rt_sched_class"
    assert facts("fifo").row("prio")["says"] == "real time 42"
    assert facts("not nice").row("static_prio")["says"] == "nice -13"
    assert signals.row("static_prio")["says"] == "nice 0"
    weight = signals.row("se.load.weight")
    assert f"{signals.number('se.load.weight'):,} at nice 0" in weight["meaning"]
    assert facts("pinned").row("cpus_mask")["says"] == "0"


def test_task_sleeps_where_wchan_says(moment: Moment) -> None:
    compared = 0
    for pid, tid in everyone(moment):
        expected = moment.proc(pid, f"task/{tid}/wchan")
        says = Facts(moment, tid).row("__state", "state")["says"]
        found = re.search(r"sleeps in (\S+)$", says)
        assert (found.group(1) if found else "0") == expected, tid
        compared += expected != "0"
    assert compared > 40


def test_task_of_kernel_threads(moment: Moment) -> None:
    for row in moment.table("threads"):
        if row["comm"].startswith("["):
            facts = Facts(moment, row["pid"])
            assert "PF_KTHREAD" in facts.row("flags")["says"].split()
            assert facts.row("mm")["value"] == "0x0"
            bad = [
                row for row in facts.rows if "unreadable" in row["value"] + row["says"]
            ]
            assert bad == []


# --- lab kstack ---------------------------------------------------------------


def test_kstack_is_proc_stack(moment: Moment) -> None:
    compared = 0
    for pid, tid in everyone(moment):
        expected = moment.proc(pid, f"task/{tid}/stack").splitlines()
        (sentence, *tables) = moment.lab(f"kstack {tid}")
        assert tables or "has no kernel stack any more" in sentence
        rows = tables[0]["rows"] if tables else []
        found = [
            f"[<0>] {row['symbol']}"
            for row in rows
            if row["kind"] in ("call", "interrupted")
        ]
        assert found == expected, (pid, tid)
        compared += len(expected)
    assert compared > 200


# --- lab regs -----------------------------------------------------------------


def test_regs_is_proc_syscall(moment: Moment) -> None:
    compared = sleeping = 0
    for pid, tid in everyone(moment):
        words = moment.proc(pid, f"task/{tid}/syscall").split()
        parts = moment.lab(f"regs {tid}")
        if words[1:] == ["0x0", "0x0"]:
            assert len(parts) == 1, "a task that has ended has no registers"
            continue
        rows = parts[1]["rows"]
        values = {row["register"]: row["value"] for row in rows}
        assert values["orig_ax"] & 0xFFFF_FFFF == int(words[0]) & 0xFFFF_FFFF
        assert [values["sp"], values["ip"]] == [int(word, 16) for word in words[-2:]]
        if int(words[0]) >= 0:
            names = ("di", "si", "dx", "r10", "r8", "r9")
            assert [values[n] for n in names] == [int(w, 16) for w in words[1:7]]
            meaning = next(row["meaning"] for row in rows if row["register"] == "ax")
            if values["ax"] == -errno.ENOSYS % (1 << 64):  # as set by the entry code
                assert meaning.startswith("no result yet: "), (tid, parts)
                sleeping += 1
            else:
                assert meaning.startswith("the call's result: ")
        compared += 1
    assert compared > 40 and sleeping > 30


# --- lab files ----------------------------------------------------------------


def fdinfo(text: str) -> dict[str, str]:
    """Return the first lines of /proc/PID/fdinfo/N, by name."""
    pairs = (line.partition(":\t") for line in text.splitlines())
    return {name: value for name, _, value in pairs}


def test_files_is_proc_fd(moment: Moment) -> None:
    compared = 0
    for pid in moment.users():
        prefix = f"/proc/{pid}/fd/"
        expected = {
            int(name.removeprefix(prefix)): target
            for name, target in moment.snapshot.items()
            if name.startswith(prefix)
        }
        parts = moment.lab(f"files {pid}")
        rows = parts[0]["rows"] if isinstance(parts[0], dict) else []
        assert [row["fd"] for row in rows] == sorted(expected), pid
        for row in rows:
            link = f"{prefix}{row['fd']}"
            if moment.snapshot.errors.get(link) == errno.ENAMETOOLONG:
                assert len(row["path"]) > 4096
            else:
                assert row["path"] == labs.shown(expected[row["fd"]])
            info = fdinfo(moment.proc(pid, f"fdinfo/{row['fd']}"))
            assert row["position"] == int(info["pos"])
            assert row["flags"] == info["flags"]
            assert row["mnt_id"] == int(info["mnt_id"])
            if "ino" in info:  # since v5.15
                assert row["inode"] == int(info["ino"])
            compared += 1
    assert compared > 100


def test_files_tells_kinds(moment: Moment) -> None:
    (table,) = moment.lab(f"files {moment.pid('files')}")
    kinds = {row["path"]: row["kind"] for row in table["rows"]}
    assert kinds["/tmp/file"] == "file"
    assert kinds["/tmp"] == "directory"
    assert kinds["/tmp/deleted file (deleted)"] == "file"
    assert kinds["/tmp/fifo"] == "FIFO, both ends"
    assert kinds["/dev/null"] == "character device 1:3"
    assert kinds["anon_inode:[eventfd]"] == "anonymous inode"
    assert kinds["/memfd:of the scene (deleted)"] == "file"
    found = [kind for path, kind in kinds.items() if path.startswith("pipe:[")]
    assert found == ["pipe, its writing end"]  # two ends with one path
    sockets = {kind for path, kind in kinds.items() if path.startswith("socket:[")}
    assert sockets == {
        "unix stream socket, connected",
        "unix stream socket, listening",
        "inet stream socket, listening",
        "inet datagram socket, unconnected",
    }
    opened = [row["opened_with"] for row in table["rows"]]
    synced = "O_WRONLY O_APPEND O_LARGEFILE O_CLOEXEC O_SYNC".split()
    assert synced in opened and ["O_RDWR", "O_LARGEFILE", "O_TMPFILE"] in opened
    closing = {row["fd"] for row in table["rows"] if row["close_on_exec"] == "yes"}
    named = {row["fd"] for row in table["rows"] if "O_CLOEXEC" in row["opened_with"]}
    assert closing == named and len(closing) >= 5
    assert max(row["fd"] for row in table["rows"]) == 300


def test_files_of_a_task_that_has_ended(moment: Moment) -> None:
    (sentence,) = moment.lab(f"files {moment.pid('family', 'zombie')}")
    assert "has ended: its files are closed" in sentence


# --- lab ustack ---------------------------------------------------------------


def ustack(moment: Moment, tid: int, program: str = "") -> list[dict[str, Any]]:
    """Return the frames of a thread, with the symbols of a scene's program."""
    file = f" {moment.programs / program}" if program else ""
    return moment.table(f"ustack {tid}{file}")


def functions(frames: list[dict[str, Any]]) -> list[str]:
    """Return the functions' names, innermost first, without the compiler's suffixes."""
    return [re.split(r"[+.]", frame["symbol"])[0] for frame in frames]


@pytest.mark.parametrize("name", ["static", "static-pie", "dynamic", "dynamic-pie"])
def test_ustack_goes_up_to_main(moment: Moment, name: str) -> None:
    frames = ustack(moment, moment.pid(name), name)
    names = functions(frames)
    start = names.index("innermost")
    assert names[start : start + 4] == ["innermost", "inner", "outer", "main"]
    assert names[-1] == "_start"
    source = (
        labs.ROOT / "tests" / "guest" / "programs" / "scene_sleeper.c"
    ).read_text()
    lines = source.splitlines()
    calls = ("scene_sleep", "innermost(", "inner(", "outer(")
    for frame, call in zip(frames[start + 1 :], calls[1:]):
        file, _, line = frame["source"].rpartition(":")
        assert file.endswith("scene_sleeper.c") and call in lines[int(line) - 1]
    assert {frame["found_by"] for frame in frames[1:]} == {"call frame info"}
    pointers = [frame["stack_pointer"] for frame in frames]
    assert pointers == sorted(set(pointers))


def test_ustack_without_a_file_of_the_host(moment: Moment) -> None:
    """The guest's own copy has call frames, although its symbols were stripped."""
    pid = moment.pid("dynamic-pie")
    bare, full = ustack(moment, pid), ustack(moment, pid, "dynamic-pie")
    assert [frame["address"] for frame in bare] == [frame["address"] for frame in full]
    assert all(not frame["source"] for frame in bare)
    maps = [line.split() for line in moment.proc(pid, "maps").splitlines()]
    for frame in bare:
        path, _, offset = frame["place"].rpartition("+")
        for line in maps:
            start, end = (int(word, 16) for word in line[0].split("-"))
            if start <= frame["address"] < end:
                assert path == line[5]
                assert int(offset, 16) == frame["address"] - start + int(line[2], 16)
                break
        else:
            raise AssertionError(f"{frame} is in no area")


def test_ustack_of_threads(moment: Moment) -> None:
    pid = moment.pid("threads")
    for tid in moment.tids(pid):
        names = functions(ustack(moment, tid, "threads"))
        if tid == pid:
            assert "main" in names and names[-1] == "_start"
            continue
        comm = moment.snapshot[f"/proc/{pid}/task/{tid}/comm"].decode().strip()
        # The compiler makes in_futex() jump to syscall() instead of calling it
        assert ("syscall" if comm == "in futex" else comm.replace(" ", "_")) in names
        assert names[-3:-1] == ["thread", "start_thread"]
        assert names[-1] in ("clone3", "__clone3")  # depends on the C library


def test_ustack_of_everyone_ends(moment: Moment) -> None:
    for _, tid in everyone(moment):
        for part in moment.lab(f"ustack {tid}"):
            if isinstance(part, dict):
                assert part["rows"], tid


def test_ustack_refuses_another_program(moment: Moment) -> None:
    """A given file is not used unless it is the program that runs."""
    pid = moment.pid("static")
    wrong = ustack(moment, pid, "dynamic-pie")
    assert wrong == ustack(moment, pid)
    assert "is no ELF file" in moment.refused(f"lab ustack {pid} Makefile")


# --- Bad arguments --------------------------------------------------------------


@pytest.mark.parametrize(
    "command", ["task", "files", "kstack", "ustack", "regs", "tree"]
)
def test_one_sentence_for_a_bad_pid(moment: Moment, command: str) -> None:
    refusal = moment.refused(f"lab {command} 99999")
    assert refusal == "There is no task 99999; `lab threads` lists all there are."
    assert "nonsense is no PID" in moment.refused(f"lab {command} nonsense")
    assert "Usage: lab" in moment.refused(f"lab {command} 1 2 3")


@pytest.mark.parametrize("command", ["ustack", "regs"])
def test_one_sentence_where_there_are_no_registers(
    moment: Moment, command: str
) -> None:
    assert "is a kernel thread" in moment.lab(f"{command} 2")[0]
    zombie = moment.pid("family", "zombie")
    assert "has ended" in moment.lab(f"{command} {zombie}")[0]
    report = moment.lab(f"kstack {zombie}")
    assert "has no kernel stack any more" in report[0]


def test_help_has_an_example(moment: Moment) -> None:
    names = "current ps threads tree task files kstack ustack regs"
    for name in names.split():
        output = moment.gdb(f"help lab {name}")
        assert f"(gdb) lab {name}" in output and "--json" in output
