#!/usr/bin/env bash
# Usage: scripts/clean.sh
#
# Removes what was built, but not kernel sources and downloads: `make clean`. If build/kernels is a link to the folder
# that build-kernel.sh makes where Linux cannot be built in the clone's path, the kernels there are removed too; of any
# other link, only the link itself.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

# elsewhere: the path that make_room in build-kernel.sh uses
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
