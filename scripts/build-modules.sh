#!/usr/bin/env bash
# Usage: scripts/build-modules.sh
#
# Builds the modules of kernel/modules for the selected kernel, which must be built: build/kernels/K/modules, with debug
# info for gdb, and build/kernels/K/modules.cpio, which the guest gets as /lib/modules. Does only what has changed.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

dir=$(kernel_dir)
readonly dir room=$dir/modules log=$dir/modules.log
take_lock "$dir/.lock"

# inputs: a hash of what the modules are built from
inputs() {
	{
		cat "$dir/built"
		(cd "$ROOT" && sha256sum kernel/modules/* scripts/build-modules.sh initramfs/build.sh)
	} | sha256sum
}

[[ ! -f $dir/modules.cpio || $(cat "$room/built" 2>/dev/null) != "$(inputs)" ]] || exit 0

rm -rf -- "$room"
mkdir -- "$room"
cp -- "$ROOT"/kernel/modules/{Kbuild,*.c} "$room/"
kbuild "$dir/source" "$dir/obj" -s M="$room" modules >"$log" 2>&1 </dev/null || {
	tail -n 20 "$log" >&2
	die "the modules of kernel/modules could not be built: see above, and the whole log $log."
}
"$ROOT/initramfs/build.sh" --modules "$dir/modules.cpio" "$room"/*.ko
inputs >"$room/built"
