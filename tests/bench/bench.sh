#!/usr/bin/env bash
# Usage: tests/bench/bench.sh
#
# Measures the lab's speed: `make bench`. JSON=FILE takes the result.
# shellcheck source-path=SCRIPTDIR source=../../scripts/lib.sh
. "$(dirname "$0")/../../scripts/lib.sh"

cd "$ROOT"
PYTHONPATH=gdb:tests exec /usr/bin/python3 tests/bench/bench.py
