#!/usr/bin/env bash
# Usage: scripts/debian-package.sh PACKAGE FILE
#
# Gets FILE, a kernel's tarball, out of Debian's binary package PACKAGE, which has it in /usr/src. The package is not
# installed. It changes with every update of Debian, so no hash can be pinned: apt checks it against the archive's
# signed index. Works without root.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

readonly package=$1 file=$2
readonly name=${file##*/}

command -v apt-get >/dev/null ||
	die "$name comes from Debian's package $package and this machine has no apt: give a source tree with KERNEL_SRC."

mkdir -p -- "${file%/*}"
work=$(mktemp -d "${file%/*}/.package.XXXXXX")
trap 'rm -rf -- "$work"' EXIT
note "downloading Debian's package $package"
(cd "$work" && apt-get -q -o APT::Sandbox::User= download "$package") >"$work/log" 2>&1 ||
	die "Debian's package $package cannot be had ($(grep -m 1 '^E:' "$work/log" || tail -n 1 "$work/log")):" \
		"type apt-get update as root, or give a source tree with KERNEL_SRC."
dpkg-deb --fsys-tarfile "$work"/*.deb | tar -xO "./usr/src/$name" >"$work/$name" ||
	die "Debian's package $package has no /usr/src/$name: give a source tree with KERNEL_SRC."
mv -- "$work/$name" "$file"
