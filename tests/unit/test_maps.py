# SPDX-License-Identifier: GPL-2.0-only
"""Areas as /proc/PID/maps shows them, boundaries, and open files."""

from __future__ import annotations

import struct

import pytest
from areas import Space, space
from mounted import Mounted

from lab.linux import boundaries, files, maps, mm as mm_, mm_changes, vma
from lab.target import structs
from lab.target.memory import Broken, Fault
from made_up import PAGE, PAGE_OFFSET, USER, WRITE, Guest

RW, SHARED, EXEC, HUGETLB = 0x73, 0x8, 0x4, 0x40_0000
MAYSHARE = 0x80
RANGES = [
    (0x1000, 0x3000),  # a file
    (0x3000, 0x5000),  # the heap
    (0x6000, 0x7000),  # anonymous memory
    (0x8000, 0x9000),  # [vdso]
    (0xA000, 0xC000),  # the stack
]
HEAP = {"start_brk": 0x3000, "brk": 0x4800, "start_stack": 0xB000}


@pytest.fixture
def disk(guest: Guest) -> Mounted:
    """A file system on device 8:3."""
    return Mounted(guest, device=8 << 20 | 3)


@pytest.fixture
def made(guest: Guest, disk: Mounted) -> Space:
    """An address space with areas of several kinds."""
    made = space(guest, *RANGES, **HEAP)
    guest.write(structs.address_of("vsyscall_mode"), b"\x02")  # no gate area
    ops = guest.put("struct vm_operations_struct")
    file = {"vm_file": disk.file(b"prog", inode=77), "vm_ops": ops, "vm_pgoff": 2}
    for path, value in file.items():
        made.member(0, path, value)
    name = {"name": structs.address_of("special_mapping_name")}
    made.member(3, "vm_ops", guest.put("struct vm_operations_struct", name))
    special = {"name": guest.string(b"[vdso]")}
    private = guest.put("struct vm_special_mapping", special)
    made.member(3, "vm_private_data", private)
    return made


def lines(made: Space, disk: Mounted) -> list[str]:
    """The areas as lines of /proc/PID/maps, with what backs each."""
    return [
        f"{area.start:x}-{area.end:x} {area.perms} {area.offset:08x} {area.dev} "
        f"{area.inode} {area.name or '-'} {area.backing}"
        for area in maps.for_each_area(made.mm, disk.root)
    ]


def test_all_areas(made: Space, disk: Mounted) -> None:
    assert lines(made, disk) == [
        "1000-3000 rw-p 00002000 08:03 77 /prog file",
        "3000-5000 rw-p 00000000 00:00 0 [heap] heap",
        "6000-7000 rw-p 00000000 00:00 0 - anonymous",
        "8000-9000 rw-p 00000000 00:00 0 [vdso] vdso",
        "a000-c000 rw-p 00000000 00:00 0 [stack] stack",
    ]


def test_the_gate_area_is_the_last(made: Space, disk: Mounted, guest: Guest) -> None:
    gate = structs.address_of("gate_vma")
    start = 0xFFFF_FFFF_FF60_0000
    members = {"vm_start": start, "vm_end": start + PAGE, "vm_flags": EXEC}
    guest.put("struct vm_area_struct", members, gate)
    guest.write(structs.address_of("vsyscall_mode"), b"\0")
    line = f"{start:x}-{start + PAGE:x} --xp 00000000 00:00 0 [vsyscall] vsyscall"
    assert lines(made, disk)[-1] == line


def test_areas_that_are_not_all_found(made: Space, disk: Mounted, guest: Guest) -> None:
    """What can be read comes before the error."""
    guest.set("struct mm_struct", made.mm, "map_count", 6)
    found = maps.for_each_area(made.mm, disk.root)
    assert [next(found).start for _ in RANGES] == [start for start, _ in RANGES]
    with pytest.raises(Broken, match="map_count is 6 and 5 areas are found"):
        next(found)


@pytest.mark.parametrize(
    ("member", "value"),
    [("vm_start", 0x4FFF), ("vm_end", 0x6000), ("vm_start", 0x7000)],
)
def test_what_is_no_area(made: Space, disk: Mounted, member: str, value: int) -> None:
    made.member(2, member, value)
    found = maps.for_each_area(made.mm, disk.root)
    assert [next(found).start, next(found).start] == [0x1000, 0x3000]
    with pytest.raises(Broken, match="is no area above them"):
        next(found)


@pytest.mark.parametrize(
    ("members", "mode", "kind", "name", "backing"),
    [
        ({}, 0o100644, b"ext4", b"file", "file"),
        ({"vm_flags": RW | HUGETLB}, 0o100644, b"ext4", b"file", "huge pages"),
        ({}, 0o020644, b"devtmpfs", b"zero", "device"),
        ({"vm_ops": 0}, 0o020644, b"devtmpfs", b"zero", "anonymous"),
        ({}, 0o100644, b"tmpfs", b"file", "file"),
        ({}, 0o100644, b"tmpfs", b"memfd:x", "shared memory"),
        ({}, 0o100644, b"tmpfs", b"SYSV00000000", "shared memory"),
        ({}, 0o100644, b"ext4", b"memfd:x", "file"),
    ],
)
def test_what_backs_an_area(
    guest: Guest,
    made: Space,
    members: dict[str, int],
    mode: int,
    kind: bytes,
    name: bytes,
    backing: str,
) -> None:
    disk = Mounted(guest, kind)
    shmem = guest.symbol("shmem_vm_ops", 64)
    file = {"vm_file": disk.file(name, mode=mode), "vm_ops": shmem}
    for path, value in (file | members).items():
        made.member(2, path, value)
    found = maps.area_of(made.areas[2], made.mm, disk.root)
    assert found.backing == backing


def test_a_file_of_tmpfs_that_shmem_does_not_keep(guest: Guest, made: Space) -> None:
    disk = Mounted(guest, b"tmpfs")
    made.member(0, "vm_file", disk.file(b"memfd:x"))
    assert maps.area_of(made.areas[0], made.mm, disk.root).backing == "file"


def test_a_file_that_cannot_be_read(made: Space, disk: Mounted) -> None:
    made.member(0, "vm_file", 0xDEAD_0000_0000)
    assert maps.area_of(made.areas[0], made.mm, disk.root).name.startswith("? cannot")


def named(guest: Guest, text: bytes) -> int:
    """Make a struct anon_vma_name."""
    inside = structs.offsetof("struct anon_vma_name", "name")
    place = guest.room(inside + len(text) + 1)
    guest.write(place + inside, text)
    return place


def in_a_union(guest: Guest) -> None:
    """Have anon_name share its place, as in v6.1; the layout has its members in a row."""
    types = guest.layout._types
    members = types["struct vm_area_struct"]["fields"]
    place, _, kind = members.pop("anon_name")
    shared = {"anon_name": [0, 0, kind]}
    types["union"] = {"kind": "union", "size": 32, "fields": shared}
    members[""] = [place, 0, "union"]
    structs.forget()


@pytest.mark.parametrize("union", [True, False])
def test_names_that_a_program_gave(new: Guest, union: bool) -> None:
    """Where anon_name shares its place, until v6.2, an area of a file has no such name."""
    if union:
        in_a_union(new)
    disk = Mounted(new)
    made = space(new, *RANGES, **HEAP)
    read = mm_.mm_struct(made.mm)
    for number in (0, 1, 2):
        made.member(number, "anon_name", named(new, b"mine"))
    made.member(0, "vm_file", disk.file(b"prog"))
    found = [vma.vma_name(area, read, disk.root) for area in vma.for_each_vma(made.mm)]
    first = b"/prog" if union else b"[anon_shmem:mine]"
    assert found[:3] == [first, b"[heap]", b"[anon:mine]"]


@pytest.mark.parametrize(
    ("start", "end", "name"),
    [
        (0x2000, 0x3000, b"[heap]"),  # vm_end >= start_brk
        (0x1000, 0x2FFF, b""),
        (0x4800, 0x5000, b"[heap]"),  # vm_start <= brk
        (0x4801, 0x5000, b""),
        (0xA000, 0xB000, b"[stack]"),  # vm_end >= start_stack
        (0xA000, 0xAFFF, b""),
        (0xB000, 0xC000, b"[stack]"),
        (0xB001, 0xC000, b""),
    ],
)
def test_heap_and_stack(guest: Guest, start: int, end: int, name: bytes) -> None:
    """As show_map_vma() compares them: an area that only touches them has the name."""
    made = space(guest, (start, end), **HEAP)
    (area,) = vma.for_each_vma(made.mm)
    assert vma.vma_name(area, mm_.mm_struct(made.mm), 0) == name


# --- Places -------------------------------------------------------------------------------


def test_places(made: Space, disk: Mounted) -> None:
    places = maps.Places(made.mm, disk.root)
    assert [places.text(address) for address in (0x1010, 0x3010, 0x6010, 0x5000)] == [
        *("/prog+0x2010", "[heap]+0x10", "[anon]+0x10", ""),
    ]
    assert places.find(0xFFF) is None and places.find(0xC000) is None
    above = [places.above(address) for address in (0, 0x1000, 0x9FFF, 0xA000)]
    starts = [area.vm_start if area else None for area in above]
    assert starts == [0x1000, 0x3000, 0xA000, None]
    assert not places.is_code(0x1000) and not places.is_code(0x5000)
    made.member(0, "vm_flags", EXEC)
    assert maps.Places(made.mm, disk.root).is_code(0x1000)
    made.member(0, "vm_file", 0xDEAD_0000_0000)
    damaged = maps.Places(made.mm, disk.root)
    area = damaged.find(0x1000)
    assert area is not None and damaged.name(area) == "[unreadable name]"
    assert damaged.path(area) == ""


# --- mm.py, boundaries.py, mm_changes.py ---------------------------------------------------


def test_user_memory(made: Space, guest: Guest) -> None:
    pgd, frame = guest.table(), guest.room(PAGE, PAGE)
    guest.write(frame, b"hello")
    guest.map(pgd, 0x6000, guest.physical(frame), USER | WRITE)
    guest.set("struct mm_struct", made.mm, "pgd", PAGE_OFFSET + pgd)
    assert mm_.pgd_of(made.mm) == pgd
    assert mm_.access_process_vm(made.mm, 0x6001, 4) == b"ello"
    with pytest.raises(Fault):
        mm_.access_process_vm(made.mm, 0x5000, 1)
    with pytest.raises(Fault, match="in the kernel's half"):
        mm_.access_process_vm(made.mm, PAGE_OFFSET, 1)


def test_physical_addresses(guest: Guest) -> None:
    assert mm_.virt_to_phys(PAGE_OFFSET + 0x1234) == 0x1234
    assert mm_.virt_to_phys(0xFFFF_FFFF_8100_0000) == 0x100_0000


@pytest.mark.parametrize(
    ("layout", "topdown"),
    [
        ("arch_get_unmapped_area_topdown", True),
        ("arch_get_unmapped_area", False),
        ("", None),
    ],
)
def test_which_way_mmap_looks_for_room(
    guest: Guest, layout: str, topdown: bool | None
) -> None:
    for name in ("arch_get_unmapped_area_topdown", "arch_get_unmapped_area"):
        guest.symbol(name)
    function = structs.address_of(layout) if layout else 0x1234
    made = space(guest, (0x1000, 0x2000), get_unmapped_area=function)
    assert mm_.is_topdown(made.mm) is topdown


def test_a_flag_says_which_way(new: Guest) -> None:
    """Since v6.10, 529ce23a764f."""
    del new.layout._types["struct mm_struct"]["fields"]["get_unmapped_area"]
    structs.forget()
    made = space(new, (0x1000, 0x2000))
    assert mm_.is_topdown(made.mm) is False
    new.set("struct mm_struct", made.mm, "flags", 1 << 31)
    assert mm_.is_topdown(made.mm) is True


def test_boundaries(guest: Guest) -> None:
    guest.symbol("arch_get_unmapped_area_topdown")
    members = {
        **{
            "start_code": 0x1000,
            "end_code": 0x2000,
            "brk": 0x4000,
            "mmap_base": 0x7000,
        },
        "get_unmapped_area": structs.address_of("arch_get_unmapped_area_topdown"),
    }
    made = space(guest, (0x1000, 0x2000), (0x2000, 0x4000), (0x6000, 0x7000), **members)
    found = boundaries.boundaries(made.mm)
    assert [one.address for one in found] == sorted(one.address for one in found)
    known = {one.name: (one.address, one.vma, one.start, one.end) for one in found}
    first, second, third = made.areas
    assert known["start_code"] == (0x1000, first, 0x1000, 0x2000)
    assert known["end_code"] == (0x2000, first, 0x1000, 0x2000), "the area that ends"
    assert known["brk"] == (0x4000, second, 0x2000, 0x4000)
    assert known["mmap_base"] == (0x7000, third, 0x6000, 0x7000)
    assert known["arg_end"] == (0, 0, 0, 0), "0 is no end of an area"
    assert ("highest_vm_end" in known) == guest.has(
        "struct mm_struct", "highest_vm_end"
    )
    (base,) = (one for one in found if one.name == "mmap_base")
    assert base.is_end and base.meaning == "mmap() places areas below"


def test_a_snapshot(made: Space, disk: Mounted) -> None:
    found = mm_changes.snapshot(made.mm, disk.root)
    pieces = [(piece.start, piece.end, piece.name, piece.vma) for piece in found.pieces]
    names = ["/prog", "[heap]", "", "[vdso]", "[stack]"]
    assert pieces == [
        (start, end, name, area)
        for (start, end), name, area in zip(RANGES, names, made.areas)
    ]
    assert found.boundaries == dict.fromkeys(mm_changes.FOLLOWED, 0) | HEAP
    assert found.pieces[0].pgoff == 2 and found.pieces[0].file != 0
    assert mm_changes.changes(found, mm_changes.snapshot(made.mm, disk.root)) == ()


# --- files.py -------------------------------------------------------------------------------


def table(guest: Guest, pointers: list[int], used: int, closing: int = 0) -> int:
    """Make a table of descriptors, and return the struct files_struct *."""
    fd = guest.room(8 * len(pointers))
    guest.write(fd, struct.pack(f"<{len(pointers)}Q", *pointers))
    words = [guest.room(16), guest.room(16)]
    for place, bits in zip(words, (used, closing)):
        guest.write(place, bits.to_bytes(16, "little"))
    members = {"max_fds": len(pointers), "fd": fd}
    members |= {"open_fds": words[0], "close_on_exec": words[1]}
    fdt = guest.put("struct fdtable", members)
    return guest.put("struct files_struct", {"fdt": fdt})


def test_open_files(guest: Guest, disk: Mounted) -> None:
    first = disk.file(b"one", inode=5, f_flags=0o2, f_pos=7)
    second = disk.file(b"two", mode=0o040755)
    pointers = [first, 0, second] + [0] * 62 + [first]
    opened = table(guest, pointers, 1 | 1 << 2 | 1 << 65, 1 << 2)
    found = list(files.for_each_file(opened, disk.root))
    assert [(one.fd, one.path, one.kind) for one in found] == [
        *((0, "/one", "file"), (2, "/two", "directory"), (65, "/one", "file")),
    ]
    one, two, _ = found
    assert (one.pos, one.flags, one.mnt_id, one.inode) == (7, 0o2, 21, 5)
    assert two.flag_names == ["O_RDONLY", "O_CLOEXEC"]


def test_a_file_behind_the_end_of_a_table(guest: Guest, disk: Mounted) -> None:
    opened = table(guest, [disk.file(b"one"), disk.file(b"two")], 1)
    found = files.for_each_file(opened, disk.root)
    assert next(found).path == "/one"
    with pytest.raises(Broken, match="descriptor 1 has a file but is not marked"):
        next(found)


@pytest.mark.parametrize("count", [0, (1 << 20) + 1])
def test_a_size_that_no_table_has(guest: Guest, disk: Mounted, count: int) -> None:
    opened = table(guest, [0], 0)
    fdt = int.from_bytes(
        guest.read(opened + structs.offsetof("struct files_struct", "fdt"), 8), "little"
    )
    guest.set("struct fdtable", fdt, "max_fds", count)
    with pytest.raises(Broken, match=f"has room for {count} descriptors"):
        list(files.for_each_file(opened, disk.root))


def test_a_descriptor_that_cannot_be_read(guest: Guest, disk: Mounted) -> None:
    opened = table(guest, [0xDEAD_0000_0000], 1)
    (found,) = files.for_each_file(opened, disk.root)
    assert found.kind == "unreadable" and found.path.startswith("(cannot read")


@pytest.mark.parametrize(
    ("mode", "f_mode", "name", "kind"),
    [
        (0o010600, 1, b"fifo", "FIFO, its reading end"),
        (0o010600, 2, b"fifo", "FIFO, its writing end"),
        (0o010600, 3, b"fifo", "FIFO, both ends"),
        (0o010600, 0, b"fifo", "FIFO"),
        (0o020600, 3, b"tty", "character device 5:9"),
        (0o060600, 3, b"sda", "block device 5:9"),
        (0o120777, 1, b"link", "symbolic link"),
        (0o600, 1, b"anon", "anonymous inode"),
    ],
)
def test_kinds_of_files(
    guest: Guest, disk: Mounted, mode: int, f_mode: int, name: bytes, kind: str
) -> None:
    file = disk.file(name, mode=mode, f_mode=f_mode)
    inside = structs.offsetof("struct file", "f_inode")
    inode = int.from_bytes(guest.read(file + inside, 8), "little")
    guest.set("struct inode", inode, "i_rdev", 5 << 20 | 9)
    assert files.open_file(0, file, False, disk.root).kind == kind
