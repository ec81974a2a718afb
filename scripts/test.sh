#!/usr/bin/env bash
# Usage: scripts/test.sh [--all]
#
# Runs all tests but the slow ones: `make test`; with --all the slow ones too: `make test-all`. They run on the selected
# kernel; if none is selected, on the default one and on 6.1, so that both the vm_next chain and the maple tree are
# covered. Tests run in parallel, except those marked "alone". T holds arguments for pytest, such as -k NAME or
# tests/guest/test_storm.py; T="-n 0" runs them one by one.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

readonly MAPLE_KERNEL=6.1
T=${T:-}
check_selection

case ${1:-} in
'') tiers="not slow" ;;
--all) tiers="slow or not slow" ;;
*) die "$1 is unknown: see --help." ;;
esac
readonly tiers

# Every gdb loads the lab's package: compile it once, also where the environment says not to
unset PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX=$ROOT/build/pycache

# A guest keeps one processor busy, and gdb another while the guest waits for it: more workers than these gain nothing.
WORKERS=$(nproc)
readonly WORKERS

# some_tests MARKS OPTION...: run the tests with these marks, and fail if one fails. Sets FOUND if there were any.
some_tests() {
	local status=0 words
	read -r -a words <<<"$T"
	(cd "$ROOT" && exec /usr/bin/python3 -m pytest -q -o console_output_style=classic \
		--progress "Linux $(kernel_name)" -m "$1" "${@:2}" "${words[@]}") || status=$?
	((status != 5)) || return 0 # no test was picked
	((status != 2)) || exit 2 # Ctrl-C, or a file that cannot be imported: skip the rest
	FOUND=1
	return "$status"
}

# run_tests MARKS: first in parallel, then those marked "alone"
run_tests() {
	local status=0
	FOUND=''
	some_tests "($1) and not alone" -n "$WORKERS" --dist loadgroup || status=$?
	some_tests "($1) and alone" || status=$?
	[[ -n $FOUND ]] || die "T=$T picks no test: give for example T='-k NAME'."
	return "$status"
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
"$ROOT/scripts/build-modules.sh" </dev/null
note "tests on Linux $KERNEL, those that depend on the kernel"
run_tests "($tiers) and not once" || status=$?
exit "$status"
