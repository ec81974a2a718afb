# SPDX-License-Identifier: GPL-2.0-only
"""Kernel stacks: frames from a frame pointer, and how a task entered the kernel."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import pytest
from tasks import Tasks

from lab.linux import entry, kallsyms, processors, registers, stack
from lab.target import structs
from lab.target.debugger import Refused
from lab.target.memory import Broken
from made_up import PAGE, Guest

SIZE = 4 * PAGE  # THREAD_SIZE
TEXT = 0xFFFF_FFFF_8100_0000  # _stext in these tests
ENTRY = TEXT + 0x8000  # entry code
FORK = TEXT + 0x9000  # ret_from_fork
USER_CS, KERNEL_CS = 0x33, 0x10


@dataclass
class Kernel:
    """A guest with a task, its stack, and made-up code."""

    guest: Guest
    task: int
    start: int  # of the stack

    @property
    def regs(self) -> int:
        """Return where the user-mode registers are saved."""
        return self.start + SIZE - structs.sizeof("struct pt_regs")

    @property
    def last(self) -> int:
        """Return where the frame below them starts."""
        return self.regs - 16

    def frame(self, place: int, caller: int, ip: int) -> int:
        """Write a frame: its caller's frame pointer, and the return address."""
        self.guest.write(place, struct.pack("<QQ", caller, ip))
        return place

    def saved(self, place: int, **members: int) -> int:
        """Write a struct pt_regs, and return it as a frame pointer encodes it."""
        self.guest.put("struct pt_regs", members, place)
        return place | 1

    def sleep(self, *ips: int) -> None:
        """Put the task to sleep, with a frame for each of these return addresses on its stack.

        The last one stands right below the registers of user mode.
        """
        places = [self.start + 0x100 + 32 * i for i in range(len(ips) - 1)]
        places.append(self.last)
        for place, above, ip in zip(places, [*places[1:], 0], ips):
            self.frame(place, above, ip)
        self.sleeps_at(places[0])

    def sleeps_at(self, frame: int) -> None:
        """Put the task to sleep with this frame pointer pushed."""
        inside = structs.offsetof("struct inactive_task_frame", "bp")
        thread = {"thread.sp": frame - inside}
        self.guest.put("struct task_struct", thread, self.task)

    def unwind(self) -> list[tuple[str, int]]:
        """Return the frames of the sleeping task: kind and address."""
        found = stack.unwind(self.task, None)
        return [(frame.kind, frame.ip) for frame in found]

    def run(self, **regs: int) -> list[tuple[str, int, str]]:
        """Return the frames of the task while it runs on a CPU: kind, address and stack."""
        (area,) = self.guest.per_cpu_areas()
        self.guest.per_cpu(area, "current_task", self.task)
        irq = self.guest.room(SIZE, SIZE) + SIZE
        self.guest.per_cpu(area, "hardirq_stack_ptr", irq - 8)
        known = {"cs": KERNEL_CS, "gs_base": area, "k_gs_base": area}
        thread = self.guest.processor(**known | regs)
        processor = processors.processors()[thread - 1]
        found = stack.unwind(self.task, processor)
        return [(frame.kind, frame.ip, frame.stack) for frame in found]


@pytest.fixture
def kernel(guest: Guest) -> Kernel:
    """A task in the kernel, which came from user mode."""
    for name, address in (
        *(("_stext", TEXT), ("_etext", TEXT + 0x1_0000)),
        *(("__entry_text_start", ENTRY), ("__entry_text_end", ENTRY + 0x1000)),
        *(("ret_from_fork", FORK), ("init_stack", TEXT + 0x10_0000)),
    ):
        guest.layout.symbols[name] = [address, SIZE]
    guest.without_symbol("kallsyms_names")
    start = guest.room(SIZE, SIZE)
    members = {"stack": start, "stack_refcount.refs.counter": 1}
    made = Kernel(guest, Tasks(guest).process(7, **members), start)
    made.saved(made.regs, cs=USER_CS, ip=0x40_1234, orig_ax=1)
    return made


def test_a_task_that_sleeps_in_a_system_call(kernel: Kernel) -> None:
    kernel.sleep(TEXT + 1, TEXT + 2, ENTRY + 3)
    assert kernel.unwind() == [
        *(("call", TEXT + 1), ("call", TEXT + 2), ("call", ENTRY + 3)),
        ("user", 0x40_1234),
    ]


def test_a_kernel_thread(kernel: Kernel) -> None:
    kernel.saved(kernel.regs, cs=KERNEL_CS, ip=0)
    kernel.sleep(TEXT + 1, FORK)
    assert kernel.unwind() == [("call", TEXT + 1), ("start", FORK)]


def test_a_task_that_has_no_stack_any_more(kernel: Kernel) -> None:
    member = "stack_refcount.refs.counter"
    kernel.guest.set("struct task_struct", kernel.task, member, 0)
    assert kernel.unwind() == []
    assert registers.task_pt_regs(kernel.task) == 0


def test_a_last_frame_that_the_compiler_aligned(kernel: Kernel) -> None:
    """It is 8 bytes lower, with a copy of the return address where it belongs."""
    kernel.frame(kernel.last - 8, 0, ENTRY + 3)
    kernel.guest.write(kernel.last + 8, struct.pack("<Q", ENTRY + 3))
    kernel.sleeps_at(kernel.last - 8)
    assert kernel.unwind() == [("call", ENTRY + 3), ("user", 0x40_1234)]
    kernel.guest.write(kernel.last + 8, struct.pack("<Q", ENTRY + 4))
    with pytest.raises(Broken):
        kernel.unwind()


def test_registers_that_entry_code_marks(kernel: Kernel) -> None:
    """Those of the kernel are followed; those of user mode are the end."""
    inner, outer = kernel.start + 0x200, kernel.start + 0x800
    user = kernel.saved(kernel.regs, cs=USER_CS, ip=0x40_1234)
    kernel.frame(outer, user, TEXT + 4)
    marked = kernel.saved(inner, cs=KERNEL_CS, ip=TEXT + 3, bp=outer)
    kernel.sleeps_at(kernel.frame(kernel.start + 0x100, marked, TEXT + 1))
    assert kernel.unwind() == [
        *(("call", TEXT + 1), ("interrupted", TEXT + 3), ("call", TEXT + 4)),
        ("user", 0x40_1234),
    ]


def test_where_a_kernel_thread_starts(kernel: Kernel) -> None:
    """copy_thread() leaves registers that are all zero."""
    marked = kernel.saved(kernel.start + 0x200, cs=KERNEL_CS)
    kernel.sleeps_at(kernel.frame(kernel.start + 0x100, marked, TEXT + 1))
    assert kernel.unwind() == [("call", TEXT + 1)]


@pytest.mark.parametrize(
    ("caller", "ip", "says"),
    [
        (0x100, TEXT, "goes down, not up"),
        (0x108, TEXT, "goes down, not up"),
        (SIZE - 8, TEXT, "points into no stack"),
        (SIZE, TEXT, "points into no stack"),
        (SIZE - 160 | 1, TEXT, "points into no stack"),
        (-16, TEXT, "points into no stack"),
        (0x200, TEXT - 1, "is no kernel code"),
        (0x200, TEXT + 0x1_0000, "is no kernel code"),
    ],
)
def test_stacks_that_are_damaged(
    kernel: Kernel, caller: int, ip: int, says: str
) -> None:
    kernel.frame(kernel.start + 0x200, kernel.last, TEXT)
    kernel.sleeps_at(kernel.frame(kernel.start + 0x100, kernel.start + caller, ip))
    with pytest.raises(Broken, match=says):
        kernel.unwind()


def test_a_stack_that_is_no_memory(kernel: Kernel) -> None:
    members = {"stack": 0xDEAD_0000_0000, "thread.sp": 0xDEAD_0000_0100}
    kernel.guest.put("struct task_struct", members, kernel.task)
    with pytest.raises(Broken, match="is cut"):
        kernel.unwind()


def test_a_kernel_without_frame_pointers(kernel: Kernel) -> None:
    kernel.guest.symbol("__start_orc_unwind")
    with pytest.raises(Refused, match="without frame pointers"):
        kernel.unwind()


def test_a_task_that_runs_in_user_mode(kernel: Kernel) -> None:
    found = kernel.run(cs=USER_CS, rip=0x40_5678)
    assert found == [("user", 0x40_5678, "")]


def test_a_task_that_runs_in_the_kernel(kernel: Kernel) -> None:
    frame = kernel.frame(kernel.start + 0x100, kernel.last, TEXT + 1)
    kernel.frame(kernel.last, 0, ENTRY + 3)
    assert kernel.run(rip=TEXT, rsp=kernel.start, rbp=frame) == [
        *(("running", TEXT, "task"), ("call", TEXT + 1, "task")),
        *(("call", ENTRY + 3, "task"), ("user", 0x40_1234, "task")),
    ]


@pytest.mark.parametrize("sp", [-8, SIZE])
def test_a_stack_pointer_on_no_stack_of_the_task(kernel: Kernel, sp: int) -> None:
    with pytest.raises(Broken, match="is on no stack of this task"):
        kernel.run(rip=TEXT, rsp=kernel.start + sp)


def test_in_entry_code(kernel: Kernel) -> None:
    """Until it has saved the registers, rbp is what user mode left in it."""
    rsp = kernel.start + 0x100
    running = ("running", ENTRY, "task")
    for left in (0, 0x41, kernel.start + 0x201 - 2 * SIZE):
        assert kernel.run(rip=ENTRY, rsp=rsp, rbp=left) == [running]
    marked = kernel.saved(kernel.start + 0x200, cs=KERNEL_CS, ip=TEXT + 3)
    with pytest.raises(Broken, match="points into no stack"):
        kernel.run(rip=ENTRY, rsp=rsp, rbp=marked)
    marked = kernel.saved(kernel.regs, cs=USER_CS, ip=0x40_1234)
    assert kernel.run(rip=ENTRY, rsp=rsp, rbp=marked) == [
        *(running, ("user", 0x40_1234, "task")),
    ]


def test_from_the_interrupt_stack_to_the_task_s(kernel: Kernel) -> None:
    """The frame pointer may go down where it changes stacks, but never back."""
    irq = kernel.guest.room(SIZE, SIZE)
    cpu = processors.Processor(1, 0, 0, kernel.task, {})
    (area,) = kernel.guest.per_cpu_areas()
    kernel.guest.per_cpu(area, "hardirq_stack_ptr", irq + SIZE - 8)
    (found,) = stack.processor_stacks(cpu)
    assert (found.name, found.start, found.end) == ("irq", irq, irq + SIZE)
    stacks = [stack.Stack("task", kernel.start, kernel.start + SIZE), found]
    below = kernel.frame(irq + 0x100, kernel.start + 0x100, TEXT + 1)
    kernel.frame(kernel.start + 0x100, irq + 0x200, TEXT + 2)
    followed = stack._follow(below, kernel.task, stacks)
    assert [(frame.stack, frame.ip) for frame in (next(followed), next(followed))] == [
        *(("irq", TEXT + 1), ("task", TEXT + 2)),
    ]
    with pytest.raises(Broken, match="points into no stack"):
        next(followed)


def test_stacks_of_a_processor(kernel: Kernel) -> None:
    guest = kernel.guest
    guest.has_also("struct cea_exception_stacks", "NMI_stack", "struct entry_stack")
    guest.has_also("struct cea_exception_stacks", "guard", "struct entry_stack")
    first, second = guest.per_cpu_areas(2)
    top, area = 0xFFFF_C900_0000_4000, 0xFFFF_FE00_0004_0000
    guest.per_cpu(second, "hardirq_stack_ptr", top)
    estacks = area + structs.offsetof("struct cpu_entry_area", "estacks")
    guest.per_cpu(second, "cea_exception_stacks", estacks)
    found = stack.processor_stacks(processors.Processor(1, 1, second, 0, {}))
    size = structs.sizeof("struct irq_stack")
    inside = structs.offsetof("struct cea_exception_stacks", "NMI_stack")
    nmi = estacks + inside
    page = area + structs.offsetof("struct cpu_entry_area", "entry_stack_page")
    entry_size = structs.sizeof("struct entry_stack")
    assert [
        (processor_stack.name, processor_stack.start, processor_stack.end)
        for processor_stack in found
    ] == [
        ("irq", top - size, top),
        ("NMI", nmi, nmi + entry_size),
        ("entry", page, page + entry_size),
    ]
    assert stack.processor_stacks(processors.Processor(1, None, 0, 0, {})) == []


# --- registers.py, entry.py ---------------------------------------------------------------


def test_registers_of_user_mode(kernel: Kernel) -> None:
    found = registers.of_user_mode(kernel.task, None)
    assert found is not None and found[0].ip == 0x40_1234
    assert found[1].startswith(f"saved at {kernel.regs:#x}")
    kernel.saved(kernel.regs, cs=KERNEL_CS)
    assert registers.of_user_mode(kernel.task, None) is None


def test_arguments_of_a_system_call(kernel: Kernel) -> None:
    numbers = {"di": 1, "si": 2, "dx": 3, "r10": 4, "r8": 5, "r9": 6}
    kernel.saved(kernel.regs, orig_ax=0x1_0000_003D, **numbers)
    found = registers.pt_regs(kernel.regs)
    assert registers.syscall_get_arguments(found) == (1, 2, 3, 4, 5, 6)
    assert registers.syscall_get_nr(found) == 61
    kernel.saved(kernel.regs, orig_ax=(1 << 64) - 1)
    assert registers.syscall_get_nr(registers.pt_regs(kernel.regs)) == -1


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        (0x246, ["PF", "ZF", "IF"]),
        (0x3000, ["IOPL=3"]),
        (0x20_0401, ["CF", "DF", "ID"]),
    ],
)
def test_flags_of_the_processor(flags: int, names: list[str]) -> None:
    assert registers.flag_names(flags) == names


def frames(*kinds: stack.Kind) -> list[stack.Frame]:
    """Make frames of these kinds, at addresses without a name."""
    return [stack.Frame(kind, TEXT, "task", 0x1000 * i) for i, kind in enumerate(kinds)]


def test_how_a_task_entered_the_kernel(kernel: Kernel) -> None:
    kernel.sleep(TEXT + 1, ENTRY + 3)
    found = entry.entries(kernel.task, list(stack.unwind(kernel.task, None)))
    (only,) = found
    assert (only.what, only.regs, only.syscall) == ("system call 1", kernel.regs, 1)
    kernel.saved(kernel.regs, cs=USER_CS, orig_ax=(1 << 64) - 1)
    kernel.sleep(TEXT + 1)
    (only,) = entry.entries(kernel.task, list(stack.unwind(kernel.task, None)))
    assert (only.what, only.syscall) == ("interrupt or exception", None)


def test_a_task_that_never_came_from_user_mode(kernel: Kernel) -> None:
    found = entry.entries(kernel.task, frames("call", "start"))
    assert [way.what for way in found] == ["kernel thread"]
    kernel.guest.set("struct task_struct", kernel.task, "pid", 0)
    found = entry.entries(kernel.task, frames("running", "interrupted", "call"))
    assert [way.what for way in found] == ["interrupt or exception", "idle"]
    assert found[0].regs == 0x1000


def test_entry_code_that_has_not_saved_the_registers(kernel: Kernel) -> None:
    alone = [stack.Frame("running", ENTRY, "task", 0)]
    assert [way.what for way in entry.entries(kernel.task, alone)] == ["entry code"]


@pytest.mark.parametrize("number", [0, 1, 450])
def test_a_system_call_by_its_number(kernel: Kernel, number: int) -> None:
    kernel.saved(kernel.regs, cs=USER_CS, orig_ax=number)
    kernel.sleep(TEXT + 1)
    (only,) = entry.entries(kernel.task, list(stack.unwind(kernel.task, None)))
    assert (only.what, only.syscall) == (f"system call {number}", number)


@pytest.mark.parametrize(
    ("kind", "ip", "on", "what"),
    [
        ("call", ENTRY + 0x20, "task", "exception asm_exc_page_fault"),
        ("call", ENTRY + 0x21, "task", "interrupt asm_sysvec_apic_timer"),
        ("call", ENTRY + 0x21, "NMI", "NMI asm_sysvec_apic_timer"),
        ("running", ENTRY + 0x21, "task", "interrupt or exception"),
        ("call", TEXT + 0x21, "task", "interrupt or exception"),
    ],
)
def test_the_entry_point_of_an_interrupt(
    kernel: Kernel,
    monkeypatch: pytest.MonkeyPatch,
    kind: stack.Kind,
    ip: int,
    on: str,
    what: str,
) -> None:
    """It is that of the frame before, whose return address is behind the call."""

    def symbol_name(address: int) -> str:
        if address < ENTRY + 0x20:
            return "asm_exc_page_fault"
        return "asm_sysvec_apic_timer"

    monkeypatch.setattr(kallsyms, "symbol_name", symbol_name)
    before = stack.Frame(kind, ip, on, 0)
    regs = stack.Frame("interrupted", TEXT, "task", 0x1000)
    found = entry.entries(kernel.task, [before, regs])
    assert found[0].what == what
