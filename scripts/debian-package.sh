#!/usr/bin/env bash
# Usage: scripts/debian-package.sh SUITE/PACKAGE FILE
#
# Gets FILE, a kernel's tarball, out of Debian's binary package PACKAGE, which has it in /usr/src. The package is not
# installed. It comes from this machine's Debian, and if that has none from SUITE. It changes with every update of
# Debian, so no hash can be pinned: apt checks it against the archive's signed index. Works without root.
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

# download APT...: the package into $work. By a pattern, for apt would take a name that it does not know for one itself,
# and find linux-source-6.12.
download() {
	(cd "$work" && "$@" -q -o APT::Sandbox::User= download "^${package//./\\.}\$")
}

# download_from_suite: the same, whatever suites this machine's apt knows
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
