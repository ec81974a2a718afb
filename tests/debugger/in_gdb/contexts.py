# SPDX-License-Identifier: GPL-2.0-only
"""Inside gdb: stop a guest that runs usermode.c in many places, and ask the lab in each.

The result is, for each place, the report of each command in ASK.
"""

import errno
import json
import os
import sys

import gdb

sys.path.insert(0, "tests")
from lab.linux import task
from support.reports import parts  # noqa: E402

ASK = ("current", "kstack", "regs", "ustack")
ENTRY = "*entry_SYSCALL_64"
STOPS = {  # place: what to do before continuing
    "__x64_sys_clock_gettime": "",
    ENTRY: "",
    "do_syscall_64": "",
    "handle_mm_fault": "",
    "update_process_times": "",
    "rcu_core": "",
    "default_do_nmi": "monitor nmi",
}


def ask(command: str) -> object:
    """Return the parts of a lab command's report, or its error."""
    try:
        return parts(gdb.execute(f"lab {command} --json", to_string=True))
    except gdb.error as refusal:
        return str(refusal)


def at(place: str, before: str) -> None:
    """Continue to a place, and ask the lab there."""
    stop = gdb.Breakpoint(place, gdb.BP_HARDWARE_BREAKPOINT, internal=True)
    if before:
        gdb.execute(before)
    gdb.execute("continue")
    stop.delete()


selected = gdb.selected_thread().num
found: dict[str, object] = {"segment_info": {command: ask(command) for command in ASK}}
found["selected"] = gdb.selected_thread().num == selected
rows = {row["comm"]: row for row in ask("threads")[0]["rows"]}
for name in ("spinning", "in handler"):
    pid = rows[name]["pid"]
    found[name] = {command: ask(f"{command} {pid}") for command in ASK[1:]}
    while "just switching" in str(found[name]["kstack"]):
        # Its processor goes on by itself until the next tick of any
        at("update_process_times", "")
        found[name] = {command: ask(f"{command} {pid}") for command in ASK[1:]}

at("wake_up_new_task", "")
child = task.task(task.register("rdi")).pid
found["new task"] = {command: ask(f"{command} {child}") for command in ASK[1:]}

# An interrupt may have come anywhere where it spins, so go to that loop.
registers = found["spinning"]["regs"][1]["rows"]
(ip,) = [row["value"] for row in registers if row["register"] == "ip"]
at(f"*{ip:#x}", "")
found["user mode"] = {command: ask(command) for command in ASK}
for place, before in STOPS.items():
    at(place, before)
    found[place] = {command: ask(command) for command in ASK}
    if place == ENTRY:  # rbp is still the program's, and may be any number
        rbp = gdb.selected_frame().read_register("rbp")
        for odd in range(2):
            gdb.execute(f"set $rbp = {int(rbp) & ~1 | odd}")
            found[f"{place} {odd}"] = {command: ask(command) for command in ASK}
        gdb.execute(f"set $rbp = {int(rbp)}")
at("syscall_exit_to_user_mode", "")
# rt_sigreturn() leaves as if it had been no call, with -1 in orig_ax
while int(gdb.parse_and_eval("(long)((struct pt_regs *)$rdi)->orig_ax")) < 0:
    at("syscall_exit_to_user_mode", "")
ax = "*(long *)&((struct pt_regs *)$rdi)->ax"
result = int(gdb.parse_and_eval(ax))
for value in (7, -errno.ENOSYS):  # whichever call it is, that is its result now
    gdb.execute(f"set var {ax} = {value}")
    found[f"returns {value}"] = {command: ask(command) for command in ASK}
gdb.execute(f"set var {ax} = {result}")
at("__switch_to_asm", "")
rsp = gdb.selected_frame().read_register("rsp")
while gdb.selected_frame().read_register("rsp") - rsp in range(-100, 1):
    gdb.execute("stepi", to_string=True)
found["switch"] = {command: ask(command) for command in ASK}
with open(os.environ["LAB_RESULT"], "w", encoding="utf-8") as file:
    json.dump(found, file)
