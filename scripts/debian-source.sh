#!/usr/bin/env bash
# Usage: scripts/debian-source.sh SUITE/SOURCE=VERSION FILE
#
# Prints the addresses, best first, of FILE of a Debian source package: the one in SUITE's source index, then those in
# Debian's pool, in case SUITE has moved on. Works without root.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=archive.sh
. "$ROOT/scripts/archive.sh"

readonly suite=${1%%/*} package=${1#*/} file=$2
readonly source=${package%%=*}

command -v apt-get >/dev/null ||
	die "$file comes from Debian's archive and this machine has no apt: give the address of a folder that holds it" \
		"with KERNEL_MIRROR=."

mapfile -t sites < <(archive_sites)
((${#sites[@]})) ||
	die "apt on this machine uses no http archive to get $file from: give the address of a folder that holds it" \
		"with KERNEL_MIRROR=."

mkdir -p -- "$BUILD"
private=$(mktemp -d "$BUILD/.apt.XXXXXX")
trap 'rm -rf -- "$private"' EXIT
make_private_apt "$private"

# index_address SITE: FILE's address according to the signed index of SITE, empty if that cannot be had
index_address() {
	read_suite deb-src "$1" "$suite" >"$private/log" 2>&1 || return 0
	private_apt source --only-source --download-only --print-uris "$package" 2>>"$private/log" |
		awk -v file="$file" -F "'" 'index($3, " " file " ") == 1 { print $2 }' || return 0
}

note "looking for $file in Debian's archive"
for site in "${sites[@]}"; do
	address=$(index_address "$site")
	[[ -z $address ]] || break
done
pool=("${sites[@]/%//pool/main/${source:0:1}/$source/$file}")
printf '%s\n' ${address:+"$address"} "${pool[@]}" | awk '!seen[$0]++'
