#!/usr/bin/env bash
# Format and static checks: `make lint`. Names every tool's findings, then fails if there were any.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

cd "$ROOT"
failed=0
check() {
	note "lint: $1"
	shift
	"$@" || failed=1
}

mapfile -t python < <(git ls-files --cached --others --exclude-standard '*.py')
mapfile -t shell < <(git ls-files --cached --others --exclude-standard '*.sh' initramfs/init initramfs/run initramfs/session .ci/run)
mapfile -t guest < <(git ls-files --cached --others --exclude-standard 'user/*.[ch]')
mapfile -t modules < <(git ls-files --cached --others --exclude-standard 'tests/guest/modules/*.c')

source=$(kernel_dir)/source
[[ -f $source/scripts/checkpatch.pl ]] || die "the kernel's checkpatch.pl is not here: type make kernel."

# What checkpatch asks of kernel code and a user program cannot do: it has no ARRAY_SIZE(), __printf(), __noreturn, pr_*;
# ENOSYS is just what these programs talk about; and _Static_assert is no camel.
readonly not_for_programs=ARRAY_SIZE,PREFER_DEFINED_ATTRIBUTE_MACRO,EMBEDDED_FUNCTION_NAME,EMBEDDED_FILENAME,ENOSYS,CAMELCASE,VOLATILE

readonly checkpatch=("$source/scripts/checkpatch.pl" --root "$source" --no-tree --strict --terse --quiet)

check "black" /usr/bin/python3 -m black --quiet --check --diff "${python[@]}"
# gdb and drgn give their scripts these names.
check "pyflakes" env PYFLAKES_BUILTINS=prog,GIVEN /usr/bin/python3 -m pyflakes "${python[@]}"
check "shellcheck" shellcheck -x --source-path=SCRIPTDIR "${shell[@]}"
# checkpatch leaves a cache where it is started.
check "checkpatch kernel/" env -C "$BUILD" "${checkpatch[@]}" --file "$ROOT"/kernel/segment_info.[ch]
check "checkpatch tests/guest/modules/" env -C "$BUILD" "${checkpatch[@]}" --file "${modules[@]/#/$ROOT/}"
check "checkpatch user/" env -C "$BUILD" "${checkpatch[@]}" --ignore "$not_for_programs" --file "${guest[@]/#/$ROOT/}"
check "cppcheck" cppcheck --quiet --error-exitcode=1 --enable=warning,portability --inline-suppr \
	--suppress=nullPointerArithmetic -Ikernel -Iuser user

((failed == 0)) || die "lint found what stands above: mend it (black FILE formats Python)."
note "lint: all clean"
