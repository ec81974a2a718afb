#!/usr/bin/env bash
# All tests: `make test`. On the kernel that was asked for; if none was, on the default one and on 6.1, for a kernel of
# each kind: with the vm_next chain and with the maple tree. T holds arguments for pytest, such as -k NAME or test_storm.py.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

readonly MAPLE_KERNEL=6.1
T=${T:-}
check_selection

# run_tests ARGUMENT...
run_tests() {
	# shellcheck disable=SC2086 # T is words
	(cd "$ROOT/tests" && /usr/bin/python3 -m pytest $T "$@")
}

if [[ -n $KERNEL || -n $KERNEL_SRC ]]; then
	run_tests
	exit
fi

status=0
note "tests on Linux $(kernel_name)"
run_tests || status=$?
export KERNEL=$MAPLE_KERNEL
"$ROOT/scripts/build-kernel.sh" </dev/null
note "tests on Linux $KERNEL, those that depend on the kernel"
run_tests -m "not once" || status=$?
exit "$status"
