# shellcheck shell=bash
# Shared by the scripts of this folder: `. "$(dirname "$0")/lib.sh"`.
#
# Sets bash's options, answers --help with the head of the script, and gives ROOT (the clone), BUILD (everything
# generated) and the functions below. The environment selects the kernel:
#   KERNEL      a version from kernel/sources.txt
#   KERNEL_SRC  an existing kernel tree instead
#   JUDGES      1 to build that kernel with its own checkers (kernel/judges.config)
#   RANDSTRUCT  1 to build it with structures in random order (kernel/randstruct.config)
# With neither KERNEL nor KERNEL_SRC, see kernel_version.

set -euo pipefail

# It would change bash's own rules, and those of the programs called here.
set +o posix
unset POSIXLY_CORRECT

# usage: print the head of the script, up to the first line that is not a comment or is meant for shellcheck
usage() {
	sed -n '2,${/^# shellcheck/q; /^# SPDX/d; /^#/!q; s/^# \{0,1\}//p}' "$0" | sed '/./,$!d'
}

case ${1:-} in
-h | --help)
	usage
	exit
	;;
esac

# Was the make that started this script killed in the meantime?
[[ -z ${LAB_MAKE:-} || $LAB_MAKE == "$PPID" ]] || exit 143
unset LAB_MAKE

# A git hook may call us, with variables that point at git's own index.
unset "${!GIT_@}"

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
GIVEN_BUILD=${BUILD:-}
BUILD=$(realpath -m -- "${BUILD:-$ROOT/build}")
[[ $BUILD != *[[:cntrl:]]* ]] || { # gdb, make and lists of files expect one name per line
	echo "error: the path of this clone or BUILD holds a control character: give them a plain name." >&2
	exit 1
}
if [[ -n $GIVEN_BUILD ]] && ! mkdir -p -- "$BUILD" 2>/dev/null; then
	echo "error: $BUILD cannot be made: give a folder of yours with BUILD=." >&2
	exit 1
fi
KERNEL=${KERNEL:-}
KERNEL_SRC=${KERNEL_SRC:-}
JUDGES=${JUDGES:-}
RANDSTRUCT=${RANDSTRUCT:-}

# shellcheck disable=SC2034 # used by the scripts that source this file
DEFAULT_KERNEL=6.0.5 FALLBACK_KERNEL=5.10.223

# die SENTENCE: print what is wrong and what to do next, and exit
die() {
	printf 'error: %s\n' "$*" >&2
	exit 1
}

# note LINE: tell the user something, on standard error
note() {
	printf '%s\n' "$*" >&2
}

# restore_terminal STATE: restore the terminal on standard input to a state from `stty -g`. This works in the background
# too, and when its session has just ended: the kernel then hangs up the foreground process group, which may be stty's.
restore_terminal() {
	(trap '' HUP TTOU && exec stty "$1") 2>/dev/null || true
}

# Names of the variables that hold descriptors which child processes must not inherit: bash has no close-on-exec.
KEPT=()

# close NAME...: close the descriptors held in these variables, if any; called in a forked child
close() {
	local name descriptor
	for name in "$@"; do
		descriptor=${!name:-}
		[[ -z $descriptor ]] || exec {descriptor}<&-
	done
}

# printable: copy the guest's output from standard input with everything escaped that a terminal would obey. It ends
# when the writer does, not on Ctrl-C.
printable() (
	trap '' INT
	close "${KEPT[@]}" FOLDER
	exec /usr/bin/python3 -IS "$ROOT/gdb/lab/printable.py"
)

# known_kernels: the versions in kernel/sources.txt, one per line
known_kernels() {
	awk '!/^#/ && NF { print $1 }' "$ROOT/kernel/sources.txt"
}

is_known() {
	known_kernels | grep -Fxc -- "$1" >/dev/null
}

# source_field VERSION NAME: one column (origin, at, file, sha256) of kernel/sources.txt
source_field() {
	awk -v version="$1" -v name="$2" '
		BEGIN { split("version origin at file sha256", names); for (i in names) column[names[i]] = i }
		$1 == version { print $column[name] }' "$ROOT/kernel/sources.txt"
}

# source_is_here VERSION: succeed if nothing has to be downloaded for it
source_is_here() {
	[[ -d $BUILD/sources/linux-$1 || -f $BUILD/downloads/$(source_field "$1" file) ]]
}

check_selection() {
	[[ -z $KERNEL || -z $KERNEL_SRC ]] ||
		die "KERNEL=$KERNEL and KERNEL_SRC=$KERNEL_SRC are both given: give one of them."
	[[ -z $KERNEL ]] || is_known "$KERNEL" ||
		die "KERNEL=$KERNEL is unknown: take one of $(known_kernels | paste -sd ' '), or give a source tree with" \
			"KERNEL_SRC."
	[[ -z $KERNEL_SRC || -d $KERNEL_SRC ]] ||
		die "KERNEL_SRC=$KERNEL_SRC is not a folder: give the path of a Linux source tree."
	[[ -z $JUDGES || $JUDGES == 1 ]] ||
		die "JUDGES=$JUDGES is unknown: give JUDGES=1 for a kernel with KASAN, lockdep and the like, or leave it unset."
	[[ -z $RANDSTRUCT || $RANDSTRUCT == 1 ]] ||
		die "RANDSTRUCT=$RANDSTRUCT is unknown: give RANDSTRUCT=1 for structures in random order, or leave it unset."
}

# kernel_version: the selected version when KERNEL_SRC is not given: KERNEL, else the default. If the default was never
# downloaded, the version that fetch.sh fell back to is used.
kernel_version() {
	local remembered
	if [[ -n $KERNEL ]]; then
		echo "$KERNEL"
	elif ! source_is_here "$DEFAULT_KERNEL" &&
		remembered=$(cat "$BUILD/kernel" 2>/dev/null) && is_known "$remembered"; then
		echo "$remembered"
	else
		echo "$DEFAULT_KERNEL"
	fi
}

# kernel_name: the name of the selected kernel's folder in build/kernels
kernel_name() {
	check_selection
	local name
	if [[ -n $KERNEL_SRC ]]; then
		local path base
		path=$(realpath -e -- "$KERNEL_SRC")
		base=$(basename -- "$path" | tr -c 'A-Za-z0-9._\n-' _)
		name=$(printf 'src-%s-%.8s' "$base" "$(printf %s "$path" | sha256sum)")
	else
		name=$(kernel_version)
	fi
	echo "$name${JUDGES:+-judges}${RANDSTRUCT:+-randstruct}"
}

# kernel_options: the files in kernel/ that configure the selected kernel
kernel_options() {
	echo lab.config
	[[ -z $JUDGES ]] || echo judges.config
	[[ -z $RANDSTRUCT ]] || echo randstruct.config
}

# kernel_dir: the selected kernel's folder, which holds vmlinux.pvh, obj/vmlinux, obj/vmlinux-gdb.py and source/
kernel_dir() {
	local name
	name=$(kernel_name)
	echo "$BUILD/kernels/$name"
}

# has_hash FILE SHA256: does the file have this hash?
has_hash() {
	[[ $(sha256sum <"$1") == "$2  -" ]]
}

# require_hash FILE SHA256 ORIGIN: delete a file that has another hash, and exit
require_hash() {
	local found
	found=$(sha256sum <"$1")
	found=${found%% *}
	[[ $found != "$2" ]] || return 0
	rm -f -- "$1"
	die "$3 has SHA-256 $found but kernel/sources.txt says $2: it was deleted;" \
		"try again, or name another place to download from with KERNEL_MIRROR=."
}

# bound COMMAND...: exec a program that the kernel kills with the signal BOUND_BY when this script ends, however it
# ends. Call it in a background job or in a subshell that is a direct child of this script. If the script has died
# before the kernel was asked, the signal never comes: so the bash in between checks that its parent is alive. It also
# restores Ctrl-C, which background jobs ignore.
BOUND_BY=KILL
bound() {
	# shellcheck disable=SC2016 # expanded by that bash
	exec setpriv --pdeathsig "$BOUND_BY" \
		bash -c '[[ $PPID == "$0" ]] && exec env --default-signal=INT,QUIT "$@"' "$$" "$@"
}

# take_lock FILE: wait until no other make holds the lock. It is held until this script and everything it started have
# ended.
take_lock() {
	mkdir -p -- "${1%/*}" 2>/dev/null || die "${1%/*} cannot be made: give a folder of yours with BUILD=."
	{ exec {LOCK}>>"$1"; } 2>/dev/null || die "${1%/*} cannot be written to: give a folder of yours with BUILD=."
	if ! flock --nonblock "$LOCK"; then
		note "another make is at work in ${1%/*}: waiting until it is done"
		flock "$LOCK"
	fi
}

# has_ccache: is ccache installed and able to write its cache? Without a cache it fails instead of just compiling.
has_ccache() {
	local cache temporary
	cache=$(ccache --get-config cache_dir 2>/dev/null) || return 1
	temporary=$(ccache --get-config temporary_dir 2>/dev/null) || return 1
	mkdir -p -- "$cache" "$temporary" 2>/dev/null && [[ -w $cache && -w $temporary ]]
}

# kbuild TREE OBJ ARGUMENT...: run make on a kernel tree, out of tree. Variables that the caller's make or shell has set
# for other builds are dropped, and the same source gives the same banner whenever and by whomever it is built. If this
# script is killed, make gets SIGTERM and passes it to its children.
kbuild() {
	# bound() needs a child of this script; in the background or in a pipe we are one already
	if ((BASH_SUBSHELL)); then start_kbuild "$@"; else (start_kbuild "$@"); fi
}

start_kbuild() {
	local tree=$1 obj=$2 cc=gcc
	shift 2
	unset "${!MAKE@}" "${!KBUILD_@}" "${!KCONFIG_@}" MFLAGS LLVM LLVM_IAS KCFLAGS KCPPFLAGS KAFLAGS
	! has_ccache || cc="ccache gcc"
	export KBUILD_BUILD_USER=seginfo KBUILD_BUILD_HOST=lab KBUILD_BUILD_TIMESTAMP="Thu Jan 1 00:00:00 UTC 1970"
	BOUND_BY=TERM bound make -C "$tree" O="$obj" ARCH=x86_64 CROSS_COMPILE= LOCALVERSION= CC="$cc" "$@"
}
