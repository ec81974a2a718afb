#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Usage: initramfs/build.sh OUT BUSYBOX PROGRAM...   busybox, /init, and the programs in /bin
#        initramfs/build.sh --program OUT FILE       /lab/program alone, to append to the above
#        initramfs/build.sh --modules OUT FILE...    /lib/modules alone, without debug info, to append to it too
#
# Builds the guest's initramfs, a cpio archive. The kernel unpacks concatenated archives, so `cat` joins them. The
# same input gives the same bytes, whoever builds it, where and when. It is left uncompressed: an emulated processor
# takes longer to inflate than to copy.
set -euo pipefail

usage() {
	sed -n '2,${/^# SPDX/d; /^#/!q; s/^# \{0,1\}//p}' "$0" | sed '/./,$!d' # as in scripts/lib.sh
}

# die SENTENCE: print what is wrong and what to do next, and exit
die() {
	printf 'error: %s\n' "$*" >&2
	exit 1
}

# check_script FILE: die unless the script's interpreter is in the image
check_script() {
	local file=$1 interpreter
	interpreter=$(sed -n '1{s/^#![[:space:]]*//;s/[[:space:]].*//;p;q}' "$file")
	case $interpreter in
	/bin/sh | /bin/ash | /bin/busybox) ;;
	*) die "$file is a script for ${interpreter:-nothing}, which the guest has not: make its first line #!/bin/sh." ;;
	esac
}

# check_elf FILE: die unless it is a static x86-64 program
check_elf() {
	local file=$1 facts parts bytes offset size
	facts=$(LC_ALL=C readelf --wide --file-header --program-headers --dynamic "$file" 2>/dev/null) ||
		die "$file is neither an ELF program nor a script: give a static x86-64 program."
	[[ $facts =~ Machine:\ +Advanced\ Micro\ Devices\ X86-64 && $facts =~ Class:\ +ELF64 ]] ||
		die "$file is not for x86-64: compile it with an x86-64 compiler."
	[[ $facts =~ Type:\ +(EXEC|DYN) ]] ||
		die "$file is not a linked program: link it with gcc -static."
	[[ $facts =~ Type:\ +EXEC || $facts =~ FLAGS_1.*PIE ]] ||
		die "$file is a shared library: give a program, linked with gcc -static."
	parts=$(awk '$1 == "LOAD" { print $2, $5 }' <<<"$facts") # offset and size in the file
	[[ -n $parts ]] || die "$file has nothing to load: it is cut off or damaged, so link it again."
	bytes=$(stat -L -c %s -- "$file")
	while read -r offset size; do
		((offset + size <= bytes)) || die "$file is cut off after $bytes bytes: copy or link it again."
	done <<<"$parts"
	[[ ! $facts =~ INTERP && ! $facts =~ \(NEEDED\) ]] ||
		die "$file needs shared libraries, which the guest has not: link it with -static."
}

# check_program FILE: die unless the guest can run it; it would fail only there otherwise, much later
check_program() {
	local file=$1
	[[ -f $file && -r $file ]] || die "$file is not a file that can be read: check the name."
	if [[ $(head -c 2 "$file" | tr -d '\0') == '#!' ]]; then
		check_script "$file"
	else
		check_elf "$file"
	fi
}

# archive FOLDER OUT: owner, times, order and inode numbers do not depend on this machine. OUT is replaced only when the
# archive is complete.
archive() {
	local folder=$1 out=$2
	# Five digits, to clear the setgid bit that a folder may inherit too
	find "$folder" -type d ! -perm -1000 -exec chmod 00755 {} +
	find "$folder" -exec touch -h -d @0 {} +
	(
		cd "$folder"
		find . -mindepth 1 -printf '%P\0' | LC_ALL=C sort -z |
			cpio --create --null --format=newc --reproducible --owner=+0:+0 --quiet
	) >"$work/archive"
	mv -- "$work/archive" "$out"
}

# build_base OUT BUSYBOX PROGRAM...: see the head of this script
build_base() {
	local out=$1 busybox=$2 file name
	shift 2
	check_program "$busybox"
	mkdir -p -- "$root"/{bin,dev,etc,lab,mnt/host_share,proc,sys,tmp}
	chmod 01777 "$root/tmp"

	install -m 755 "$busybox" "$root/bin/busybox"
	"$busybox" --list | while read -r name; do
		[[ $name == busybox ]] || ln -s busybox "$root/bin/$name"
	done
	for file in "$@"; do
		check_program "$file"
		install -m 755 "$file" "$root/bin/${file##*/}"
	done

	install -m 755 "$here/init" "$root/init"
	install -m 755 "$here/session" "$root/lab/session"
	install -m 644 "$here/run" "$root/lab/run"
	install -m 644 "$here/fstab" "$root/etc/fstab"
	archive "$root" "$out"
}

# build_program OUT FILE: see the head of this script
build_program() {
	local out=$1 file=$2
	check_program "$file"
	mkdir -- "$root/lab"
	install -m 755 "$file" "$root/lab/program"
	archive "$root" "$out"
}

# build_modules OUT FILE...: see the head of this script
build_modules() {
	local out=$1 file
	shift
	mkdir -p -- "$root/lib/modules"
	for file in "$@"; do
		objcopy --strip-debug "$file" "$root/lib/modules/${file##*/}" || die "$file is no module: build it again."
	done
	archive "$root" "$out"
}

case ${1:-} in
-h | --help)
	usage
	exit
	;;
--program)
	shift
	[[ $# -eq 2 ]] || die "--program needs two names, OUT and FILE: see --help."
	build=build_program
	;;
--modules)
	shift
	[[ $# -ge 2 ]] || die "--modules needs names, OUT and FILEs: see --help."
	build=build_modules
	;;
*)
	[[ $# -ge 2 ]] || die "too few names, OUT and BUSYBOX at least: see --help."
	build=build_base
	;;
esac

here=$(cd "$(dirname "$0")" && pwd)
umask 022
# Next to the result, so that the last step is a rename within one file system.
work=$(mktemp -d -- "$1.XXXXXX" 2>/dev/null) ||
	die "nothing can be made next to $1: make its folder, or name another one."
trap 'rm -rf -- "$work"' EXIT
root=$work/root
mkdir -- "$root"

"$build" "$@"
