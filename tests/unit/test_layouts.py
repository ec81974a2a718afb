# SPDX-License-Identifier: GPL-2.0-only
"""What the test with a kernel compares in the layouts: support.layouts.facts_of()."""

from __future__ import annotations

import json

from support import labs, layouts


def test_what_a_layout_lacks_is_found() -> None:
    """A member, a symbol and a size that differ, and none where there is only more."""
    kept = labs.ROOT / "tests" / "unit" / "layouts" / "6.1.json"
    known = json.loads(kept.read_text())
    made = json.loads(kept.read_text())
    del known["types"]["struct slab"]["fields"]["freelist"]
    del known["symbols"]["init_task"]
    known["types"]["struct page"]["size"] += 8
    del made["symbols"]["vmemmap_base"]
    missing = layouts.facts_of(made, True) - layouts.facts_of(known, True)
    assert {fact.split(" [")[0].split(" {")[0] for fact in missing} == {
        "struct slab: freelist",
        "symbol init_task",
        "struct page:",
    }
    assert len(layouts.facts_of(made, False) - layouts.facts_of(known, False)) == 2
