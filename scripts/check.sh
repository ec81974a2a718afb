#!/usr/bin/env bash
# Usage: scripts/check.sh [--static]
#
# Runs the checks that take seconds and need no kernel, QEMU or root: `make check`. Format, lint, types and unit tests;
# with --static all but the unit tests: `make lint`. Where a kernel is built, its checkpatch.pl checks the C files too.
# All run at once; those that fail are named, with their output.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

tests=(tests/unit)
case ${1:-} in
'') ;;
--static) tests=() ;;
*) die "$1 is unknown: see --help." ;;
esac

cd "$ROOT"
readonly python=/usr/bin/python3
outputs=$(mktemp -d)
trap 'rm -rf -- "$outputs"' EXIT

# files PATTERN...: the matching files that git tracks or would add
files() {
	git ls-files --cached --others --exclude-standard --deduplicate -- "$@" | while IFS= read -r file; do
		[[ ! -e $file ]] || printf '%s\n' "$file" # git lists a removed file until the removal is staged
	done
}

mapfile -t python_files < <(files '*.py')
mapfile -t shell_files < <(files '*.sh' initramfs/init initramfs/run initramfs/session .ci/run)

# check NAME COMMAND...: start it in the background
names=()
check() {
	local name=$1
	shift
	names+=("$name")
	{
		local status=0
		"$@" >"$outputs/$name" 2>&1 </dev/null || status=$?
		echo "$status" >"$outputs/$name.status"
	} &
}

# check_format FILE...: black remembers the files that it found well formatted, but not if it is asked for the diff
check_format() {
	export BLACK_CACHE_DIR=$BUILD/black
	"$python" -m black --quiet --check "$@" && return
	"$python" -m black --quiet --diff "$@"
	return 1
}

# The longest first.
((${#tests[@]} == 0)) || check "unit tests" "$python" -m pytest -q -p no:cacheprovider "${tests[@]}"
check "mypy" "$python" -m mypy --no-error-summary --cache-dir "$BUILD/mypy"
check "shellcheck" shellcheck -x --source-path=SCRIPTDIR "${shell_files[@]}"
check "black" check_format "${python_files[@]}"
check "isort" "$python" -m isort --quiet --filter-files --check --diff "${python_files[@]}"
# gdb and drgn define these names for their scripts.
check "pyflakes" env PYFLAKES_BUILTINS=prog,GIVEN "$python" -m pyflakes "${python_files[@]}"
check "cppcheck" cppcheck --quiet --error-exitcode=1 --enable=warning,portability --inline-suppr \
	--suppress=nullPointerArithmetic -Ikernel -Iuser user

# Rules of checkpatch for kernel code that a user program cannot follow: it has no ARRAY_SIZE(), __printf(), __noreturn
# or pr_*(), these programs do mean ENOSYS, and _Static_assert is not CamelCase.
not_for_programs=ARRAY_SIZE,PREFER_DEFINED_ATTRIBUTE_MACRO,EMBEDDED_FUNCTION_NAME,EMBEDDED_FILENAME
readonly not_for_programs+=,ENOSYS,CAMELCASE,VOLATILE

check_patch() {
	local source=$1 modules guest
	mapfile -t modules < <(files 'tests/guest/modules/*.c' 'kernel/modules/*.c')
	mapfile -t guest < <(files 'user/*.[ch]')
	local checkpatch=("$source/scripts/checkpatch.pl" --root "$source" --no-tree --strict --terse --quiet)
	local status=0
	cd "$outputs" # checkpatch leaves a cache where it is started
	# lab_contexts is there to show what in_atomic() says
	"${checkpatch[@]}" --ignore IN_ATOMIC --file "$ROOT"/kernel/segment_info.[ch] "${modules[@]/#/$ROOT/}" || status=1
	"${checkpatch[@]}" --ignore "$not_for_programs" --file "${guest[@]/#/$ROOT/}" || status=1
	return "$status"
}

# Any kernel's checkpatch will do, but prefer the selected kernel's.
for source in "$(kernel_dir)/source" "$BUILD"/kernels/*/source; do
	if [[ -f $source/scripts/checkpatch.pl ]]; then
		check "checkpatch" check_patch "$source"
		break
	fi
done
[[ " ${names[*]} " == *" checkpatch "* ]] ||
	note "checkpatch is left out: it comes with a kernel, and none is built here"

wait
failed=()
for name in "${names[@]}"; do
	if [[ $(cat "$outputs/$name.status" 2>/dev/null) != 0 ]]; then
		failed+=("$name")
		note "--- $name"
		cat "$outputs/$name" >&2
	fi
done
((${#failed[@]} == 0)) || die "not content: $(printf '%s, ' "${failed[@]}" | sed 's/, $//'); see above." \
	"black FILE and isort FILE mend what they find."
note "all content: $(printf '%s, ' "${names[@]}" | sed 's/, $//'), in $SECONDS s"
