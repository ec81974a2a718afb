#!/usr/bin/env bash
# Usage: scripts/clean.sh
#
# Removes what was built, but for kernel sources and downloads: `make clean`. Where build/kernels is a link, kernels are
# removed only if they are in the folder that build-kernel.sh has made for them, because Linux cannot be built in a path
# like this clone's; of a link that somebody else has made only the link goes.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

# elsewhere: as make_room in build-kernel.sh names it
elsewhere() {
	echo "${XDG_CACHE_HOME:-$HOME/.cache}/seginfo-lab/$(printf %s "$BUILD" | sha256sum | cut -c 1-16)"
}

if [[ -L $BUILD/kernels ]]; then
	target=$(readlink -- "$BUILD/kernels")
	if [[ $target == "$(elsewhere)" ]]; then
		rm -rf -- "$target"
	else
		note "$BUILD/kernels is a link to $target, which the lab has not made: only the link is removed"
	fi
fi
rm -rf -- "$BUILD"/{kernels,user,initramfs.cpio,run,share}
