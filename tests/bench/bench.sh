#!/usr/bin/env bash
# Measure the lab's speed: `make bench`. JSON=FILE takes the result.
set -euo pipefail

cd "$(dirname "$0")/../.."
PYTHONPATH=gdb:tests exec /usr/bin/python3 tests/bench/bench.py
