# SPDX-License-Identifier: GPL-2.0-only
"""Areas in a list and a red-black tree, and in a maple tree: intact and damaged."""

from __future__ import annotations

import pytest
from areas import PAGE, TOP, VMA, Range, Space, encoded, space, tree_of

from lab.check.area_list import check_list
from lab.linux import maple, maple_check, rbtree, vma
from lab.linux.structs.mm_types import VmAreaStruct
from lab.target import structs
from lab.target.memory import Broken
from made_up import PAGE_OFFSET, Guest

FEW: list[Range] = [(0x1000, 0x3000), (0x3000, 0x4000), (0x8000, 0x9000)]
MANY: list[Range] = [
    (start, start + PAGE) for start in range(PAGE, 40 * PAGE, 3 * PAGE)
]
SIZES = [0, 1, 2, 3, 5, 7, 12, 13]


def some(count: int) -> list[Range]:
    """Return so many areas, with gaps between them."""
    return [(i * 3 * PAGE, (i * 3 + 1) * PAGE) for i in range(count)]


def found(made: Space) -> list[Range]:
    """Walk the areas, and return their starts and ends."""
    return [(area.vm_start, area.vm_end) for area in vma.for_each_vma(made.mm)]


def rules(made: Space) -> dict[str, str]:
    """Check the area list: where each rule is broken, "" if it holds."""
    areas: list[VmAreaStruct] = []
    broken = ""
    try:
        areas.extend(vma.for_each_vma(made.mm))
    except Broken as trouble:
        broken = str(trouble)
    count = len(made.areas)
    return {
        rule.rule: rule.broken for rule in check_list(made.mm, count, areas, broken)
    }


# --- Both kinds --------------------------------------------------------------------


@pytest.mark.parametrize("count", SIZES)
def test_all_areas_in_order(guest: Guest, count: int) -> None:
    assert found(space(guest, *some(count))) == some(count)


@pytest.mark.parametrize("count", SIZES)
def test_a_sound_list_breaks_no_rule(guest: Guest, count: int) -> None:
    assert {broken for broken in rules(space(guest, *some(count))).values()} <= {""}


@pytest.mark.parametrize("count", [1, 3, 12])
def test_find_vma_at_every_page(guest: Guest, count: int) -> None:
    """find_vma() and vma_lookup() as the kernel defines them, in areas and in gaps."""
    made = space(guest, *some(count))
    for address in range(0, some(count)[-1][1] + 2 * PAGE, PAGE):
        above = [(start, end) for start, end in some(count) if end > address]
        area = vma.find_vma(made.mm, address)
        assert (area and (area.vm_start, area.vm_end)) == (above[0] if above else None)
        inside = [(start, end) for start, end in above if start <= address]
        area = vma.vma_lookup(made.mm, address)
        assert (area and (area.vm_start, area.vm_end)) == (
            inside[0] if inside else None
        )


@pytest.mark.parametrize("ends", [0, 1, -1])
def test_at_the_borders_of_an_area(guest: Guest, ends: int) -> None:
    made = space(guest, *FEW)
    start, end = FEW[2]
    assert (vma.vma_lookup(made.mm, start + ends) is None) == (ends < 0)
    assert (vma.vma_lookup(made.mm, end + ends) is None) == (ends >= 0)


def test_the_area_before(guest: Guest) -> None:
    made = space(guest, *FEW)
    for address, before in ((0x3800, 0x1000), (0x5000, 0x3000), (0xFFFF_0000, 0x8000)):
        area = vma.area_before(made.mm, address)
        assert area is not None and area.vm_start == before
    assert vma.area_before(made.mm, 0x1800) is None


def test_an_address_space_without_areas(guest: Guest) -> None:
    made = space(guest)
    assert vma.find_vma(made.mm, 0) is None
    assert vma.area_before(made.mm, 0x1000) is None


def test_an_area_of_another_mm(guest: Guest) -> None:
    made = space(guest, *FEW)
    made.member(1, "vm_mm", made.mm + 64)
    assert "has vm_mm" in rules(made)["every area points back to this mm"]


def test_a_wrong_count(guest: Guest) -> None:
    made = space(guest, *FEW)
    made.areas.append(0)
    broken = rules(made)["map_count is the number of areas"]
    assert broken == "map_count is 4, there are 3 areas"


def test_an_empty_area(guest: Guest) -> None:
    made = space(guest, *FEW)
    made.member(1, "vm_end", 0x3000)
    assert "area 1" in rules(made)["every area has its start below its end"]


def test_areas_that_overlap(guest: Guest) -> None:
    made = space(guest, *FEW)
    made.member(1, "vm_start", 0x2000)
    assert "starts below 0x3000" in rules(made)["areas are sorted and do not overlap"]


# --- The list and the red-black tree -------------------------------------------------


def nodes(made: Space) -> list[rbtree.Node]:
    """All nodes of the tree."""
    return list(rbtree.in_order(made.mm))


def tree_rules(made: Space) -> dict[str, str]:
    """Check the red-black tree: where each rule is broken, "" if it holds."""
    return dict(rbtree.check(nodes(made)))


@pytest.mark.parametrize("count", SIZES)
def test_a_sound_red_black_tree(old: Guest, count: int) -> None:
    made = space(old, *some(count))
    assert [node.vma for node in nodes(made)] == made.areas
    assert set(tree_rules(made).values()) <= {""}


def test_a_sound_tree_without_gaps(old: Guest) -> None:
    made = space(old, *((PAGE * i, PAGE * (i + 1)) for i in range(7)))
    assert set(tree_rules(made).values()) <= {""}


def test_a_list_that_is_a_cycle(old: Guest) -> None:
    made = space(old, *FEW)
    made.member(2, "vm_next", made.areas[0])
    with pytest.raises(Broken, match="vm_next is a cycle"):
        found(made)


@pytest.mark.parametrize(
    "pointer", [0x1234, 0xDEAD_BEEF_0000_0000, PAGE_OFFSET + (1 << 40)]
)
def test_a_list_that_is_cut(old: Guest, pointer: int) -> None:
    made = space(old, *FEW)
    made.member(0, "vm_next", pointer)
    with pytest.raises(Broken, match="vm_next is cut after 1 areas"):
        found(made)
    assert "cut after 1" in rules(made)["the areas can be followed to the end"]


def test_vm_prev_that_leads_elsewhere(old: Guest) -> None:
    made = space(old, *FEW)
    made.member(2, "vm_prev", made.areas[0])
    assert rules(made)["vm_prev mirrors vm_next"]


def test_an_area_that_the_tree_has_not(old: Guest) -> None:
    made = space(old, *FEW)
    made.member(1, "vm_rb.rb_right", 0)
    assert rules(made)["the red-black tree gives the same sequence"]


def test_a_tree_that_is_a_cycle(old: Guest) -> None:
    made = space(old, *some(7))
    made.member(0, "vm_rb.rb_left", made.node_of(3))
    with pytest.raises(Broken, match="mm_rb is a cycle"):
        nodes(made)
    with pytest.raises(Broken, match="mm_rb is a cycle"):
        vma.find_vma(made.mm, 0)


def test_a_tree_that_is_cut(old: Guest) -> None:
    made = space(old, *some(7))
    made.member(5, "vm_rb.rb_left", 0xDEAD_0000)
    with pytest.raises(Broken, match="mm_rb is cut"):
        nodes(made)


def test_a_red_root(old: Guest) -> None:
    made = space(old, *some(7))
    made.member(3, "vm_rb.__rb_parent_color", 0)
    broken = tree_rules(made)["the root is black, and no red node has a red child"]
    assert "the root" in broken and "is red" in broken


def test_two_red_nodes_in_a_row(old: Guest) -> None:
    made = space(old, *some(12))
    red = [node for node in nodes(made) if node.is_red]
    parent = red[0].parent
    number = made.areas.index(parent)
    above = next(node for node in nodes(made) if node.vma == parent).parent
    made.member(
        number,
        "vm_rb.__rb_parent_color",
        above and made.node_of(made.areas.index(above)),
    )
    broken = tree_rules(made)
    assert "are red" in broken["the root is black, and no red node has a red child"]
    assert broken["all ways down have the same number of black nodes"]


def test_a_node_with_another_parent(old: Guest) -> None:
    made = space(old, *some(7))
    made.member(1, "vm_rb.__rb_parent_color", made.node_of(6) | 1)
    assert "has parent" in tree_rules(made)["every node points back to its parent"]


def test_a_gap_that_is_not_the_widest(old: Guest) -> None:
    made = space(old, *some(7))
    made.member(3, "rb_subtree_gap", 5 * PAGE)
    assert tree_rules(made)["rb_subtree_gap is the widest gap below"]


# --- The maple tree -------------------------------------------------------------------


def maple_rules(made: Space) -> dict[str, str]:
    """Check the maple tree: where each rule is broken, "" if it holds."""
    return dict(maple_check.check(tree_of(made)))


@pytest.mark.parametrize("count", SIZES)
def test_a_sound_maple_tree(new: Guest, count: int) -> None:
    made = space(new, *some(count))
    assert set(maple_rules(made).values()) <= {""}
    assert [entry for _, _, entry in maple.mas_for_each(tree_of(made))] == made.areas


def test_nodes_before_those_below_them(new: Guest) -> None:
    made = space(new, *some(12))
    read = list(maple.for_each_node(tree_of(made)))
    assert [node.address for node in read] == made.nodes
    assert [node.type for node in read] == ["arange_64"] + ["leaf_64"] * (len(read) - 1)
    assert [node.depth for node in read] == [0] + [1] * (len(read) - 1)
    assert read[0].min == 0 and read[0].max == TOP


@pytest.mark.parametrize("index", [0, PAGE - 1, PAGE, 3 * PAGE, 30 * PAGE, TOP])
def test_what_stands_at_an_index(new: Guest, index: int) -> None:
    made = space(new, *some(12))
    first, last, entry = maple.mas_walk(tree_of(made), index)
    assert first <= index <= last
    number, inside = divmod(index, 3 * PAGE)
    expected = made.areas[number] if inside < PAGE and number < 12 else 0
    assert entry == expected


def test_one_entry_in_the_root(new: Guest) -> None:
    tree = new.put("struct maple_tree", {"ma_root": PAGE_OFFSET + 0x1000})
    assert list(maple.mas_for_each(tree)) == [(0, 0, PAGE_OFFSET + 0x1000)]
    assert maple.mas_walk(tree, 0)[2] and not maple.mas_walk(tree, 1)[2]


def damaged(
    made: Space, number: int, member: str, slot: int, value: int, kind: str
) -> None:
    """Change a value in an array of a node."""
    name = f"struct maple_{kind}"
    at = structs.offsetof(name, member) + 8 * slot
    made.guest.write(made.nodes[number] + at, value.to_bytes(8, "little"))


def test_a_node_of_no_known_type(new: Guest) -> None:
    made = space(new, *some(12))
    damaged(made, 0, "slot", 1, encoded(made.nodes[2], "dense"), "arange_64")
    with pytest.raises(Broken, match="of a type that does not stand in a tree"):
        list(maple.for_each_node(tree_of(made)))


def test_a_node_that_is_nowhere(new: Guest) -> None:
    made = space(new, *some(12))
    damaged(made, 0, "slot", 1, encoded(0xDEAD_0000_0000_0000, "leaf_64"), "arange_64")
    with pytest.raises(Broken, match="cannot be read"):
        found(made)


def test_a_node_that_comes_twice(new: Guest) -> None:
    made = space(new, *some(12))
    damaged(made, 0, "slot", 1, encoded(made.nodes[1], "leaf_64"), "arange_64")
    with pytest.raises(Broken, match="comes twice"):
        list(maple.for_each_node(tree_of(made)))


def test_a_dead_node(new: Guest) -> None:
    made = space(new, *some(12))
    made.guest.write(made.nodes[1], made.nodes[1].to_bytes(8, "little"))
    with pytest.raises(Broken, match="is dead"):
        found(made)


def test_a_node_that_names_another_slot(new: Guest) -> None:
    made = space(new, *some(12))
    parent = made.nodes[0] | 3 << maple.PARENT_SLOT_SHIFT | 6
    made.guest.write(made.nodes[1], parent.to_bytes(8, "little"))
    assert "names" in maple_rules(made)["every node points back to its parent and slot"]


def test_pivots_that_fall(new: Guest) -> None:
    made = space(new, *some(12))
    damaged(made, 1, "pivot", 2, PAGE // 2, "range_64")
    assert maple_rules(made)["pivots rise, within the range of their node"]


def test_a_gap_that_is_recorded_too_narrow(new: Guest) -> None:
    made = space(new, *some(12))
    damaged(made, 0, "gap", 0, PAGE, "arange_64")
    assert "records a gap" in maple_rules(made)["the tree's gaps are the widest below"]


def test_a_height_that_is_not_the_tree_s(new: Guest) -> None:
    made = space(new, *some(12))
    flags = 3 << maple.HEIGHT_SHIFT | 1
    made.guest.set("struct maple_tree", tree_of(made), "ma_flags", flags)
    assert maple_rules(made)["leaves stand at the height the tree tells"]


def test_metadata_that_tells_another_end(new: Guest) -> None:
    made = space(new, *some(3))
    meta = structs.offsetof("struct maple_range_64", "meta")
    made.guest.write(made.nodes[0] + meta, b"\x09")
    assert maple_rules(made)["metadata tells the last slot in use"]


@pytest.mark.parametrize(
    ("slot", "says"),
    [(0, "another is wider"), (3, "is unused"), (15, "there is no gap below")],
)
def test_metadata_that_tells_another_gap(new: Guest, slot: int, says: str) -> None:
    made = space(new, *some(12))
    meta = structs.offsetof("struct maple_arange_64", "meta")
    made.guest.write(made.nodes[0] + meta + 1, bytes([slot]))
    assert any(says in broken for broken in maple_rules(made).values())


@pytest.mark.parametrize("end", [1, 3])
def test_metadata_of_a_node_that_tells_another_end(new: Guest, end: int) -> None:
    made = space(new, *some(12))
    meta = structs.offsetof("struct maple_arange_64", "meta")
    made.guest.write(made.nodes[0] + meta, bytes([end]))
    broken = maple_rules(made)["metadata tells the last slot in use"]
    assert broken.endswith(f"tells {end}, it is 2")


def test_many_members_are_read_by_name(guest: Guest) -> None:
    made = space(guest, *FEW)
    guest.set(VMA, made.areas[0], "vm_pgoff", 0x55)
    first = next(iter(vma.for_each_vma(made.mm)))
    assert (first.address, first.vm_pgoff, first.vm_mm) == (
        made.areas[0],
        0x55,
        made.mm,
    )
