# SPDX-License-Identifier: GPL-2.0-only
"""lab trace exec: the way from execve() to the first instruction of a new program.

See fs/exec.c. An exec is a state.Exec from the call to its return; the steps between
are in before.py, after.py and load.py.
"""

from __future__ import annotations

from itertools import chain
from typing import Any, NamedTuple

from ...linux import registers, signals, task
from ...linux.errno import error_text, is_error, result_text, to_int
from ...linux.structs.sched import TaskStruct
from ...linux.syscalls import AT_FDCWD
from ...printable import quoted
from ...result import Number, Table, Words
from ...sizes import counted
from ...target import kernel
from ..engine import Timeline, Tracer
from ..event import Call, Moment, Point, system_calls
from . import binprm
from .after import After
from .before import Before
from .events import ExecCalled, ExecFailed, ExecReturned, KernelExec
from .load import Load
from .state import Exec, Execs

CALLS = {"execve": 0, "execveat": 1}  # which argument the path is
INNER = "kernel_execve"  # of /init, and of helpers that the kernel starts
SIGKILL = "SIGKILL"
LONGEST = 60  # characters of a path in the table


class ExecutedRow(NamedTuple):
    """An exec, and what came of it."""

    exec: Number
    task: Number
    program: Words
    result: Words
    areas: Number | None


class ExecTimeline(Timeline):
    """Programs that are executed, step by step."""

    name = "exec"
    follows = "execve: the new mm, its stack, the ELF file, to the first instruction"

    def __init__(self, tracer: Tracer) -> None:
        super().__init__(tracer)
        self.execs = Execs(tracer)
        self.rows: list[ExecutedRow] = []

    def points(self) -> list[Point]:
        calls = system_calls(
            CALLS, self._asked, self._returned, self._died, everyone=True, waiting=True
        )
        inner = Point(
            (INNER,),
            "what the kernel executes by itself",
            self._asked_by_kernel,
            self._returned,
            self._died,
            optional=True,
            everyone=True,
            waiting=True,
        )
        steps = (kind(self.execs).points() for kind in (Before, After, Load))
        return [*calls, inner, *chain.from_iterable(steps)]

    def _asked(self, moment: Moment, name: str) -> Any:
        if not self._matters(moment):
            return None
        given = registers.syscall_get_arguments(registers.pt_regs(moment.argument(0)))
        at, mm = CALLS[name], moment.task.mm
        path = binprm.user_string(mm, given[at])
        argv = binprm.user_strings(mm, given[at + 1])
        envp = binprm.user_strings(mm, given[at + 2])
        first = ""
        if at:
            number = to_int(given[0])
            first = "AT_FDCWD, " if number == AT_FDCWD else f"{number}, "
        shown = "(not in memory)" if path is None else quoted(path, 200)
        count = "(not in memory)"
        if envp is not None:
            count = counted(len(envp), "environment string")
        exec_ = self.execs.begin(moment, path or "")
        inner = task.task_pid_vnr(moment.task.address)
        who = f" by {moment.task.pid}, which is {inner} in its pid namespace"
        event = ExecCalled(
            what=(
                f"{name}({first}{shown}, {binprm.list_text(argv)}, {count})"
                + who * (inner != moment.task.pid)
            ),
            call=name,
            path=path,
            argv=argv,
            envp=envp,
            vnr=inner,
        )
        self.execs.tell(exec_, moment, event)
        return True

    def _asked_by_kernel(self, moment: Moment) -> Any:
        if not self._matters(moment):
            return None
        path = binprm.text(moment.argument(0))
        exec_ = self.execs.begin(moment, path)
        what = f'the kernel executes "{path}" by itself, without a system call'
        self.execs.tell(exec_, moment, KernelExec(what=what, call=INNER, path=path))
        return True

    def _matters(self, moment: Moment) -> bool:
        """Is the process followed, or may it become so?"""
        follow = self.tracer.follow
        return follow.everyone or bool(follow.program) or follow.wants(moment.task)

    def _returned(self, moment: Moment, call: Call) -> None:
        exec_ = self.execs.by_task.pop(moment.task.address, None)
        if exec_ is None:
            return
        result = moment.int_result  # also what a system call says fits into one
        if is_error(result):
            self._failed(exec_, moment, result)
            return
        self._row(exec_, moment, "started")
        runs = (
            f"{exec_.runner} for the script {exec_.path}"
            if exec_.runner
            else exec_.path
        )
        event = ExecReturned(
            what=(
                f"= 0: user mode goes on in the new program, {runs}, which has "
                f"{counted(exec_.areas, 'area')}"
            ),
            result=result,
        )
        self.execs.tell(exec_, moment, event)

    def _failed(self, exec_: Exec, moment: Moment, result: int) -> None:
        if exec_.refused:
            who = f"{exec_.refused}() refused"
        elif result_text(result) == "ENOEXEC":
            who = "no handler takes the file"
        elif not exec_.bprm:
            who = "refused before anything was made for it"
        else:
            who = f"refused after {exec_.step}"
        pending = _pending(moment)
        then = "the old program goes on"
        if exec_.gone:
            then = "there is nothing to go back to"
        if pending:
            then += f", {' and '.join(pending)} is pending"
        if SIGKILL in pending:  # of zap_other_threads(): another thread was faster
            then = f"{SIGKILL} is pending, this thread ends"
        self._row(exec_, moment, result_text(result))
        event = ExecFailed(
            what=f"= {error_text(result)}: {who}; {then}",
            result=result,
            refused=exec_.refused or None,
            gone=exec_.gone,
            pending=pending,
        )
        self.execs.tell(exec_, moment, event)

    def _died(self, moment: Moment, call: Call) -> None:
        exec_ = self.execs.by_task.pop(moment.task.address, None)
        if exec_ is None:
            return
        self._row(exec_, moment, "died")
        what = f"does not return: the thread is killed after {exec_.step}"
        self.execs.tell(exec_, moment, ExecReturned(what=what, result=None))

    def _row(self, exec_: Exec, moment: Moment, result: str) -> None:
        if exec_.wanted:
            areas = exec_.areas if result == "started" else None
            row = ExecutedRow(
                exec=exec_.number,
                task=moment.task.pid,
                program=_short(exec_),
                result=result,
                areas=areas,
            )
            self.rows.append(row)

    def summary(self) -> list[Any]:
        under_way = [
            ExecutedRow(exec_.number, exec_.tid, _short(exec_), "under way", None)
            for exec_ in self.execs.by_task.values()
            if exec_.number
        ]
        rows = sorted(self.rows + under_way)
        return [Table(ExecutedRow, "Programs executed", rows)] if rows else []


def _short(exec_: Exec) -> str:
    """The program's path for a table: its end if it is long."""
    path = exec_.path or exec_.asked
    return path if len(path) <= LONGEST else f"...{path[-LONGEST:]}"


def _pending(moment: Moment) -> list[str]:
    """The signals that the thread gets before it is in user mode again."""
    return signals.set_names(
        TaskStruct(kernel.memory(), moment.task.address).pending_signals
    )
