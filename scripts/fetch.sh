#!/usr/bin/env bash
# Usage: scripts/fetch.sh
#
# Gets the source of the selected kernel into build/sources/linux-VERSION. From the environment:
#   KERNEL         a version from kernel/sources.txt. If unset: 6.0.5, or, if that is neither here nor can be
#                  downloaded, 5.10.223, which is then remembered in build/kernel
#   KERNEL_SRC     a source tree of yours: nothing is fetched
#   KERNEL_MIRROR  get the tarball from here: KERNEL_MIRROR/linux-6.0.5.tar.xz
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

readonly UNREACHABLE=69

# addresses VERSION: the addresses of its tarball, best first
addresses() {
	local at file
	at=$(source_field "$1" at)
	file=$(source_field "$1" file)
	if [[ -n ${KERNEL_MIRROR:-} ]]; then
		echo "${KERNEL_MIRROR%/}/$file"
		return
	fi
	case $(source_field "$1" origin) in
	kernel.org)
		echo "https://cdn.kernel.org/pub/linux/kernel/$at/$file"
		echo "https://www.kernel.org/pub/linux/kernel/$at/$file"
		echo "https://mirrors.edge.kernel.org/pub/linux/kernel/$at/$file"
		;;
	debian-source) "$ROOT/scripts/debian-source.sh" "$at" "$file" ;;
	*) die "kernel/sources.txt gives an unknown origin for $1: use kernel.org or debian-source." ;;
	esac
}

# get_tarball VERSION: get it into build/downloads. Exits with 69, and the reason on standard output, if no server can
# be reached.
get_tarball() {
	local file sha256 list urls
	file=$BUILD/downloads/$(source_field "$1" file)
	sha256=$(source_field "$1" sha256)
	if [[ $(source_field "$1" origin) == debian-package ]]; then
		[[ -z ${KERNEL_MIRROR:-} ]] ||
			die "Linux $1 comes from Debian only, where apt checks it: leave KERNEL_MIRROR unset."
		[[ -f $file ]] || "$ROOT/scripts/debian-package.sh" "$(source_field "$1" at)" "$file"
		return
	fi
	if [[ -f $file ]]; then
		require_hash "$file" "$sha256" "$file"
		return
	fi
	list=$(addresses "$1") || exit
	mapfile -t urls <<<"$list"
	"$ROOT/scripts/download.sh" "$file" "$sha256" "${urls[@]}"
}

# unpack VERSION: unpack its tarball from build/downloads into build/sources
unpack() {
	local tarball
	tarball=$BUILD/downloads/$(source_field "$1" file)
	note "unpacking ${tarball##*/}"
	mkdir -p -- "$BUILD/sources"
	rm -rf -- "$BUILD"/sources/.unpack.*
	unpacking=$(mktemp -d "$BUILD/sources/.unpack.XXXXXX")
	trap 'rm -rf -- "$unpacking"' EXIT
	tar -C "$unpacking" --no-same-owner --strip-components=1 -xf "$tarball" ||
		die "$tarball could not be unpacked: make room on the disk or give another folder with BUILD=, then try again."
	chmod 755 -- "$unpacking"
	mv -- "$unpacking" "$BUILD/sources/linux-$1"
}

is_unpacked() {
	[[ -d $BUILD/sources/linux-$1 ]]
}

check_selection
[[ -z $KERNEL_SRC ]] || exit 0
! is_unpacked "$(kernel_version)" || exit 0

take_lock "$BUILD/.lock"
version=$(kernel_version)
! is_unpacked "$version" || exit 0

status=0
reason=$(get_tarball "$version") || status=$?
if ((status == UNREACHABLE)) && [[ -z $KERNEL && $version == "$DEFAULT_KERNEL" ]]; then
	version=$FALLBACK_KERNEL
	note "Linux $DEFAULT_KERNEL cannot be downloaded ($reason): using $version, whose memory areas form the same" \
		"vm_next chain. For $DEFAULT_KERNEL: KERNEL=$DEFAULT_KERNEL once it can be reached, also with" \
		"KERNEL_MIRROR=address, or KERNEL_SRC=tree."
	status=0
	is_unpacked "$version" || reason=$(get_tarball "$version") || status=$?
fi
if ((status == UNREACHABLE)); then
	die "Linux $version cannot be downloaded ($reason): try again once it can be reached, or give" \
		"KERNEL_MIRROR=address of a folder with $(source_field "$version" file), or KERNEL_SRC=tree."
fi
((status == 0)) || exit "$status"

is_unpacked "$version" || unpack "$version"
if [[ -z $KERNEL && $version == "$FALLBACK_KERNEL" ]]; then
	echo "$version" >"$BUILD/kernel"
fi
