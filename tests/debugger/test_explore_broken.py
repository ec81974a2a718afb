# SPDX-License-Identifier: GPL-2.0-only
"""Corrupt trees, lists and tables of memory: every report ends.

The guest's memory is changed through gdb at a stopped moment and restored.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, Callable

import pytest

from support.damage import FREED, NON_CANONICAL, WILD, changed
from support.witnessed import Moment

Moments = Callable[..., Moment]
POINTERS = {"wild": WILD, "non-canonical": NON_CANONICAL, "freed": FREED}


def area(moment: Moment, address: int) -> str:
    """Return a gdb expression for an area, whose members can be named."""
    return f"((struct vm_area_struct *){address:#x})"


def rows_of(moment: Moment) -> tuple[int, list[dict[str, Any]]]:
    """Return a process and its areas."""
    pid = moment.pid("memory")
    return pid, moment.table(f"vmas {pid}")[:-1]


def need(moment: Moment, member: str) -> None:
    """Skip the test if an area has no such member."""
    output = moment.gdb(
        "python from lab.target import structs; "
        f"print(structs.has_member('struct vm_area_struct', {member!r}))"
    )
    if output.strip() != "True":
        pytest.skip(f"areas of this kernel have no {member}")


def need_maple(moment: Moment) -> None:
    output = moment.gdb("python from lab.linux import vma; print(vma.is_listed())")
    if output.strip() != "False":
        pytest.skip("this kernel has no maple tree")


@pytest.mark.parametrize("pointer", POINTERS)
def test_a_list_that_is_cut(moments: Moments, pointer: str) -> None:
    moment = moments()
    need(moment, "vm_next")
    pid, rows = rows_of(moment)
    middle = len(rows) // 2
    with changed(
        moment, f"{area(moment, rows[middle]['vma'])}->vm_next", POINTERS[pointer]
    ):
        drawing, _ = moment.lab(f"list {pid}")
        assert [area["vma"] for area in drawing["data"]] == [
            row["vma"] for row in rows[: middle + 1]
        ]
        assert "vm_next is cut" in drawing["broken"]
        (table,) = moment.lab(f"vmas {pid}")
        assert [row["vma"] for row in table["rows"]] == [
            row["vma"] for row in rows[: middle + 1]
        ]
        assert "vm_next is cut" in table["broken"]
        assert "The walk ended early" in moment.gdb(f"lab vmas {pid}")
        *_, lower = moment.lab(f"map {pid}")
        assert "vm_next is cut" in lower["broken"]
        assert sum(bool(area["name"]) for area in lower["data"]) == middle + 1
    assert moment.lab(f"list {pid}")[0]["broken"] == ""


def test_a_list_that_is_a_cycle(moments: Moments) -> None:
    moment = moments()
    need(moment, "vm_next")
    pid, rows = rows_of(moment)
    with changed(moment, f"{area(moment, rows[9]['vma'])}->vm_next", rows[3]["vma"]):
        drawing, _ = moment.lab(f"list {pid}")
        assert "is a cycle" in drawing["broken"] and len(drawing["data"]) == 10
        (table,) = moment.lab(f"vmas {pid}")
        assert "is a cycle" in table["broken"] and len(table["rows"]) == 10


def test_a_list_with_a_wrong_way_back(moments: Moments) -> None:
    moment = moments()
    need(moment, "vm_prev")
    pid, rows = rows_of(moment)
    with changed(moment, f"{area(moment, rows[5]['vma'])}->vm_prev", rows[1]["vma"]):
        drawing, rules = moment.lab(f"list {pid}")
        assert drawing["broken"] == "" and len(drawing["data"]) == len(rows)
        assert f"{rows[5]['vma']:#x} has vm_prev" in rules["rows"][0]["holds"]
        assert f"vm_prev is {rows[1]['vma']:#x}" in moment.gdb(f"lab list {pid}")


@pytest.mark.parametrize("pointer", POINTERS)
def test_a_red_black_tree_that_is_cut(moments: Moments, pointer: str) -> None:
    moment = moments()
    need(moment, "vm_rb")
    pid, rows = rows_of(moment)
    nodes = moment.lab(f"rb {pid}")[0]["data"]
    inner = next(node for node in nodes if node["depth"] == 2 and node["right"])
    place = f"{area(moment, inner['vma'])}->vm_rb.rb_right"
    with changed(moment, place, POINTERS[pointer]):
        (drawing,) = moment.lab(f"rb {pid}")
        index = [node["vma"] for node in nodes].index(inner["vma"])
        found = [area["vma"] for area in drawing["data"]]
        assert found == [node["vma"] for node in nodes[: index + 1]]
        assert "mm_rb is cut" in drawing["broken"]
        end = nodes[index]["end"]
        assert "cannot be read" in moment.refused(f"lab vma {end:#x} {pid}")


def test_a_red_black_tree_that_is_a_cycle(moments: Moments) -> None:
    moment = moments()
    need(moment, "vm_rb")
    pid, _ = rows_of(moment)
    nodes = moment.lab(f"rb {pid}")[0]["data"]
    root = next(node for node in nodes if node["depth"] == 0)
    leaf = max(nodes, key=lambda node: node["start"])
    place = f"{area(moment, leaf['vma'])}->vm_rb.rb_right"
    node = int(
        moment.gdb(f"output/x (unsigned long)&{area(moment, root['vma'])}->vm_rb"), 16
    )
    with changed(moment, place, node):
        (drawing,) = moment.lab(f"rb {pid}")
        assert "mm_rb is a cycle" in drawing["broken"]
        assert len(drawing["data"]) == len(nodes)
        assert "has no end" in moment.refused(f"lab vma 0x7fffffffe000 {pid}")
        assert "boundaries" in moment.gdb(f"lab mm {pid}")


@pytest.mark.parametrize(
    "member, value, rule",
    (
        ("vm_rb.__rb_parent_color", None, 1),
        ("vm_rb.__rb_parent_color", "red", 2),
        ("rb_subtree_gap", 0x123000, 4),
    ),
)
def test_a_red_black_tree_that_breaks_a_rule(
    moments: Moments, member: str, value: object, rule: int
) -> None:
    moment = moments()
    need(moment, "vm_rb")
    pid, _ = rows_of(moment)
    nodes = moment.lab(f"rb {pid}")[0]["data"]
    by_address = {node["vma"]: node for node in nodes}
    # A black child of the root's child, with another parent or made red
    inner = next(
        node for node in nodes if node["depth"] == 2 and node["colour"] == "black"
    )
    place = f"{area(moment, inner['vma'])}->{member}"
    before = int(moment.gdb(f"output/x {place}"), 16)
    wrong = {None: before + 0x1000, "red": before & ~1}.get(value, value)
    with changed(moment, place, wrong):
        rules = moment.lab(f"rb {pid}")[-1]["rows"]
        broken = [i for i, rule in enumerate(rules) if rule["holds"] is not True]
        assert rule in broken or (value == "red" and 3 in broken), rules
        assert by_address[inner["vma"]]
    assert all(rule["holds"] is True for rule in moment.lab(f"rb {pid}")[-1]["rows"])


def maple_nodes(moment: Moment, pid: int) -> list[dict[str, Any]]:
    return moment.lab(f"maple {pid}")[0]["data"]["nodes"]


def slot(node: dict[str, Any], index: int) -> str:
    """Return a gdb expression for a slot of a node."""
    kind = "ma64" if node["type"] == "arange_64" else "mr64"
    return f"((struct maple_node *){node['node']:#x})->{kind}.slot[{index}]"


@pytest.mark.parametrize("pointer", POINTERS)
def test_a_maple_tree_that_is_cut(moments: Moments, pointer: str) -> None:
    moment = moments()
    need_maple(moment)
    pid, rows = rows_of(moment)
    root = maple_nodes(moment, pid)[0]
    assert root["type"] == "arange_64" and len(root["slots"]) >= 2
    assert root["depth"] == 0 and maple_nodes(moment, pid)[1]["type"] == "leaf_64"
    end = root["pivots"][0] + 1
    first = [row["vma"] for row in rows if row["end"] <= end]
    with changed(moment, slot(root, 1), POINTERS[pointer]):
        (drawing,) = moment.lab(f"maple {pid}")
        assert "node" in drawing["broken"]
        assert len(drawing["data"]["nodes"]) == 2
        assert "was not read" in moment.gdb(f"lab maple {pid}")
        (table,) = moment.lab(f"vmas {pid}")
        assert [row["vma"] for row in table["rows"]] == first
        assert table["broken"]
        assert "node" in moment.refused(f"lab vma {end:#x} {pid}")
    assert moment.lab(f"maple {pid}")[0]["broken"] == ""


def test_a_maple_tree_that_is_a_cycle(moments: Moments) -> None:
    moment = moments()
    need_maple(moment)
    pid, _ = rows_of(moment)
    root = maple_nodes(moment, pid)[0]
    top = int(moment.gdb(f"output/x (unsigned long)$lab_mm({pid})->mm_mt.ma_root"), 16)
    for index, entry in ((1, top), (1, root["slots"][0])):
        with changed(moment, slot(root, index), entry):
            (drawing,) = moment.lab(f"maple {pid}")
            assert "comes twice" in drawing["broken"]
            assert "is drawn already" in moment.gdb(f"lab maple {pid}")
            assert "comes twice" in moment.lab(f"vmas {pid}")[0]["broken"]
            last = root["pivots"][0] + 1
            assert "The walk ended early" in moment.gdb(f"lab map {pid}")
            if entry == top:
                refusal = moment.refused(f"lab vma {last:#x} {pid}")
                assert "deeper than a maple tree" in refusal


def test_a_maple_tree_that_breaks_a_rule(moments: Moments) -> None:
    moment = moments()
    need_maple(moment)
    pid, rows = rows_of(moment)
    nodes = maple_nodes(moment, pid)
    root, leaf = nodes[0], nodes[1]
    node = "((struct maple_node *){:#x})"
    cases = [
        (f"{node.format(leaf['node'])}->parent", root["node"] | 0x0E, 0),
        (f"{node.format(root['node'])}->ma64.gap[0]", 0x5000, 5),
    ]
    for place, value, rule in cases:
        with changed(moment, place, value):
            rules = moment.lab(f"maple {pid}")[-1]["rows"]
            broken = [i for i, rule in enumerate(rules) if rule["holds"] is not True]
            assert rule in broken, (place, rules)
    with changed(moment, f"{node.format(leaf['node'])}->mr64.pivot[3]", 0x1):
        rules = moment.lab(f"maple {pid}")[-1]["rows"]
        assert any(rule["holds"] is not True for rule in rules)
    with changed(moment, slot(leaf, 1), rows[0]["vma"] ^ 0x7FFF_0000_0000_0000):
        output = moment.gdb(f"lab maple {pid}")
        assert "cannot read" in output and "ok" in output
        (table,) = moment.lab(f"vmas {pid}")
        assert "cannot be read" in table["broken"]


@pytest.mark.parametrize("pointer", POINTERS)
def test_an_area_whose_file_is_lost(moments: Moments, pointer: str) -> None:
    moment = moments()
    pid, rows = rows_of(moment)
    index, row = next(
        (i, area) for i, area in enumerate(rows) if area["backing"] == "file"
    )
    with changed(moment, f"{area(moment, row['vma'])}->vm_file", POINTERS[pointer]):
        found = moment.table(f"vmas {pid}")
        assert [area["vma"] for area in found[:-1]] == [area["vma"] for area in rows]
        assert found[index]["name"].startswith("? cannot read")
        for command in ("map", "mm"):
            moment.gdb(f"lab {command} {pid}")
        assert "? cannot read" in moment.gdb(f"lab vma {row['start']:#x} {pid}")


@pytest.mark.parametrize("pointer", POINTERS)
def test_resources_that_are_cut(moments: Moments, pointer: str) -> None:
    moment = moments()
    rows = moment.table("phys")
    first = rows[2]["resource"]
    place = f"((struct resource *){first:#x})->sibling"
    with changed(moment, place, POINTERS[pointer]):
        (table,) = moment.lab("phys")
        assert "resources are cut" in table["broken"]
        assert [row["resource"] for row in table["rows"]] == [
            row["resource"] for row in rows[:3]
        ]
        assert "resources are cut" in moment.gdb("lab phys 0x100000")
    with changed(moment, place, rows[0]["resource"]):
        assert "are a cycle" in moment.lab("phys")[0]["broken"]


def test_an_mm_that_is_lost(moments: Moments) -> None:
    moment = moments()
    pid, _ = rows_of(moment)
    with changed(moment, f"$lab_task({pid})->mm", FREED):
        for command in ("mm", "vmas", "list", "rb", "maple", "map"):
            output = moment.gdb(
                f"python\ntry:\n  print(gdb.execute('lab {command} {pid}',"
                " to_string=True))\nexcept gdb.error as e:\n  print(e)\nend"
            )
            assert "cannot read" in output or "Linux 6.1" in output, (command, output)


def test_page_tables_that_are_a_cycle(moments: Moments) -> None:
    """Every level leads to the top table: the walk ends, and so does the list of pages."""
    moment = moments()
    pid, rows = rows_of(moment)
    parts = moment.lab(f"walk {rows[0]['start']:#x} {pid}")
    entries = next(part for part in parts if isinstance(part, dict))["rows"]
    top = entries[0]["table"]
    with ExitStack() as stack:
        place = f"*(unsigned long *)({entries[1]['entry']:#x} + page_offset_base)"
        stack.enter_context(changed(moment, place, top | 0x67))
        parts = moment.lab(f"walk {rows[0]['start']:#x} {pid}")
        again = next(part for part in parts if isinstance(part, dict))["rows"]
        assert again[2]["table"] == top
        moment.gdb(f"lab vma {rows[0]['start']:#x} {pid}")
