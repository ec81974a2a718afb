#!/usr/bin/env bash
# Usage: scripts/debian-package.sh SUITE/PACKAGE FILE
#
# Extracts FILE, a kernel's tarball, from Debian's binary package PACKAGE, which has it in /usr/src. The package is not
# installed. It comes from this machine's Debian release, or from SUITE if that does not have it. It changes with
# Debian's updates, so no hash can be pinned: apt checks it against the archive's signed index. Works without root.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=archive.sh
. "$ROOT/scripts/archive.sh"

readonly suite=${1%%/*} package=${1#*/} file=$2
readonly name=${file##*/}

command -v apt-get >/dev/null ||
	die "$name comes from Debian's package $package and this machine has no apt: give a source tree with KERNEL_SRC."

mkdir -p -- "${file%/*}"
work=$(mktemp -d "${file%/*}/.package.XXXXXX")
trap 'rm -rf -- "$work"' EXIT

# download APT...: download the package into $work. The pattern is anchored: apt would take an unknown name for a
# pattern itself, and find linux-source-6.12.
download() {
	(cd "$work" && "$@" -q -o APT::Sandbox::User= download "^${package//./\\.}\$")
}

# download_from_suite: the same from SUITE, which this machine's apt need not know
download_from_suite() {
	local site
	make_private_apt "$work/apt"
	while read -r site; do
		! read_suite deb "$site" "$suite" || ! download private_apt || return 0
	done < <(archive_sites)
	return 1
}

note "downloading Debian's package $package"
download apt-get >"$work/1.log" 2>&1 || download_from_suite >"$work/2.log" 2>&1 ||
	die "Debian's package $package cannot be had ($(cat "$work"/[12].log | grep '^E:' | tail -n 1)):" \
		"type apt-get update as root, or give a source tree with KERNEL_SRC."
dpkg-deb --fsys-tarfile "$work"/*.deb | tar -xO "./usr/src/$name" >"$work/$name" ||
	die "Debian's package $package has no /usr/src/$name: give a source tree with KERNEL_SRC."
mv -- "$work/$name" "$file"
