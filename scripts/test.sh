#!/usr/bin/env bash
# Usage: scripts/test.sh [--all]
#
# All tests: `make test`, and with --all the slow ones too: `make test-all`. On the kernel that was asked for; if none was,
# on the default one and on 6.1, for a kernel of each kind: with the vm_next chain and with the maple tree. T holds
# arguments for pytest, such as -k NAME or test_storm.py.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

readonly MAPLE_KERNEL=6.1
T=${T:-}
check_selection

usage() {
	sed -n '2,/^# shellcheck/ { /^# shellcheck/d; s/^# \{0,1\}//p }' "$0"
}

case ${1:-} in
'') tiers="not slow" ;;
--all) tiers="slow or not slow" ;;
-h | --help) usage && exit ;;
*) die "$1 is unknown: see --help." ;;
esac
readonly tiers

# run_tests MARKS
run_tests() {
	# shellcheck disable=SC2086 # T is words
	(cd "$ROOT" && /usr/bin/python3 -m pytest $T -m "$1")
}

if [[ -n $KERNEL || -n $KERNEL_SRC ]]; then
	run_tests "$tiers"
	exit
fi

status=0
note "tests on Linux $(kernel_name)"
run_tests "$tiers" || status=$?
export KERNEL=$MAPLE_KERNEL
"$ROOT/scripts/build-kernel.sh" </dev/null
note "tests on Linux $KERNEL, those that depend on the kernel"
run_tests "($tiers) and not once" || status=$?
exit "$status"
