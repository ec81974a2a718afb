# SPDX-License-Identifier: GPL-2.0-only
"""Made-up tasks for unit tests: init_task, processes and their threads, as the kernel links them."""

from __future__ import annotations

from typing import Any

from lab.target import structs
from made_up import Guest

TASK, SIGNAL = "struct task_struct", "struct signal_struct"


class Tasks:
    """The tasks of a guest; at first init_task alone, whose pid is 0."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        self.init = guest.layout.address_of("init_task")
        self._processes: dict[int, list[int]] = {}  # leaders, and all threads of each
        self._children: dict[int, list[int]] = {}
        cred = guest.put("struct cred")
        guest.put(TASK, {"real_parent": self.init, "cred": cred}, self.init)
        self._threads(self.init, [self.init])
        self._link()

    def process(self, pid: int, parent: int = 0, **members: Any) -> int:
        """Make a process of one thread, and return its struct task_struct *.

        :param parent: struct task_struct *, by default init_task
        """
        parent = parent or self.init
        made = self._task(pid, pid, members, real_parent=parent)
        self.guest.set(TASK, made, "group_leader", made)
        self._processes[made] = [made]
        self._children.setdefault(parent, []).append(made)
        self._threads(made, [made])
        self._link()
        return made

    def thread(self, leader: int, pid: int, **members: Any) -> int:
        """Make a thread of a process, and return its struct task_struct *."""
        inside, kind = structs.member(TASK, "tgid")
        tgid = int.from_bytes(self.guest.read(leader + inside, kind.size), "little")
        made = self._task(pid, tgid, members, group_leader=leader)
        self._processes[leader].append(made)
        self._threads(leader, self._processes[leader])
        return made

    def _task(self, pid: int, tgid: int, members: Any, **more: int) -> int:
        cred = self.guest.put("struct cred")
        known = {"pid": pid, "tgid": tgid, "cred": cred, "real_parent": self.init}
        return self.guest.put(TASK, known | more | members)

    def _threads(self, leader: int, threads: list[int]) -> None:
        """Make these threads share a signal_struct."""
        signal = self.guest.put(SIGNAL, {"nr_threads": len(threads)})
        for thread in threads:
            self.guest.set(TASK, thread, "signal", signal)
        head = signal + structs.offsetof(SIGNAL, "thread_head")
        self._ring(head, "thread_node", threads)

    def _link(self) -> None:
        head = self.init + structs.offsetof(TASK, "tasks")
        self._ring(head, "tasks", list(self._processes))
        inside = structs.offsetof(TASK, "children")
        threads = [thread for some in self._processes.values() for thread in some]
        for parent in (self.init, *threads):
            self._ring(parent + inside, "sibling", self._children.get(parent, []))

    def _ring(self, head: int, member: str, tasks: list[int]) -> None:
        inside = structs.offsetof(TASK, member)
        self.guest.link(head, *(task + inside for task in tasks))
