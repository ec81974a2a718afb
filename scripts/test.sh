#!/usr/bin/env bash
# Usage: scripts/test.sh [--all]
#
# All tests: `make test`, and with --all the slow ones too: `make test-all`. On the kernel that was asked for; if none
# was, on the default one and on 6.1, for a kernel of each kind: with the vm_next chain and with the maple tree. Several
# at once, but those that are marked "alone". T holds arguments for pytest, such as -k NAME or
# tests/guest/test_storm.py; T="-n 0" runs one after the other.
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

# A guest keeps a processor busy, and gdb the other while the guest waits for it: with one more worker nothing was won.
WORKERS=$(nproc)
readonly WORKERS

# some_tests MARKS OPTION...: fails if one does; FOUND if there were any
some_tests() {
	local status=0 words
	read -r -a words <<<"$T"
	(cd "$ROOT" && exec /usr/bin/python3 -m pytest -q -o console_output_style=classic \
		--progress "Linux $(kernel_name)" -m "$1" "${@:2}" "${words[@]}") || status=$?
	((status != 5)) || return 0 # none is picked
	((status != 2)) || exit 2 # Ctrl-C, or a file that cannot be read: the rest is not wanted
	FOUND=1
	return "$status"
}

# run_tests MARKS
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
note "tests on Linux $KERNEL, those that depend on the kernel"
run_tests "($tiers) and not once" || status=$?
exit "$status"
