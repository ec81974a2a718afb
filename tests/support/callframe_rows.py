# SPDX-License-Identifier: GPL-2.0-only
"""Print the call frames that the lab's reader finds in a file, in readelf's notation.

    callframe_rows.py FILE <ADDRESSES >ROWS

A line of ADDRESSES is a number in hex; a line of ROWS is the CFA and then each
register's rule, in the order of their DWARF numbers. Runs without gdb.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "gdb"))
from lab.programs.symfile import symbol_file  # noqa: E402

REGISTERS = "rax rdx rcx rbx rsi rdi rbp rsp".split()
REGISTERS += [f"r{number}" for number in range(8, 16)] + ["ra"]


def rule_text(rule: tuple) -> str:
    """Return a rule in the notation of readelf --debug-dump=frames-interp."""
    kind = rule[0]
    if kind == "offset":
        return f"c{rule[1]:+d}"
    if kind == "val_offset":
        return f"v{rule[1]:+d}"
    if kind == "register":
        return f"({REGISTERS[rule[1]]})"
    return {"expression": "exp", "val_expression": "vexp", "same": "s"}.get(kind, "u")


def cfa_text(rule: tuple) -> str:
    if rule[0] == "expression":
        return "exp"
    return f"{REGISTERS[rule[1]]}{rule[2]:+d}"


def main() -> None:
    file = symbol_file(sys.argv[1], is_given=True)
    assert file.frames is not None
    for line in sys.stdin:
        found = file.frames.find(int(line, 16))
        if found is None:
            print("nothing")
            continue
        rules = found.row.rules.items()
        texts = [f"{REGISTERS[n]}={rule_text(rule)}" for n, rule in sorted(rules)]
        print(cfa_text(found.row.cfa), *texts)


main()
