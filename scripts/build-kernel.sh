#!/usr/bin/env bash
# Usage: scripts/build-kernel.sh
#
# Builds the selected kernel (KERNEL, KERNEL_SRC or neither: see scripts/fetch.sh) in build/kernels/K: gets the source,
# makes a farm of symlinks to it, wires segment_info() into the farm, configures, compiles. Every step does only what
# has changed; a kernel that is up to date takes a fraction of a second. V=1 shows the whole output of the build instead
# of one line of progress.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=progress.sh
. "$ROOT/scripts/progress.sh"

# make_room: make build/kernels. Kbuild cannot work in a path with spaces or other unusual characters, so if BUILD is
# such a path, build/kernels is a link to a folder elsewhere.
make_room() {
	[[ ! -d $BUILD/kernels ]] || return 0
	if [[ $BUILD =~ ^[A-Za-z0-9/._+@,-]*$ ]]; then
		mkdir -p -- "$BUILD/kernels" || die "$BUILD cannot be made: give a folder of yours with BUILD=."
		return
	fi
	local elsewhere
	elsewhere=${XDG_CACHE_HOME:-$HOME/.cache}/seginfo-lab/$(printf %s "$BUILD" | sha256sum | cut -c 1-16)
	[[ $elsewhere =~ ^[A-Za-z0-9/._+@,-]*$ ]] ||
		die "Linux cannot be built in $BUILD, nor in $elsewhere, because of the spaces or other characters in these" \
			"names: give a folder with a plain name with BUILD=."
	mkdir -p -- "$elsewhere" "$BUILD"
	ln -sfn "$elsewhere" "$BUILD/kernels"
	note "Linux cannot be built in a path like $BUILD: building in $elsewhere instead"
}

# check_tree TREE: die unless it is a Linux that the lab can wire and build
check_tree() {
	local version
	version=$(awk '/^VERSION = / { v = $3 } /^PATCHLEVEL = / { print v "." $3; exit }' "$1/Makefile" 2>/dev/null) ||
		true
	[[ $version =~ ^[0-9]+\.[0-9]+$ && -f $1/arch/x86/entry/syscalls/syscall_64.tbl ]] ||
		die "$1 is no Linux source tree: give the top folder of one, 5.10 to 6.4, with KERNEL_SRC."
	local number=$((${version%.*} * 1000 + ${version#*.}))
	((number >= 5010 && number <= 6004)) ||
		die "$1 is Linux $version: the lab works with 5.10 to 6.4 (system call 451 is taken from 6.5 on)."
}

# inputs: a hash of what a kernel is built with, our files and the compiler
inputs() {
	{
		(cd "$ROOT" && sha256sum kernel/{segment_info.c,segment_info.h,Kconfig,wire.sh,lx.py} \
			scripts/{farm,configure,build-kernel}.sh)
		(cd "$ROOT/kernel" && kernel_options | xargs sha256sum)
		gcc --version
	} | sha256sum
}

# source_is_built: is KERNEL_SRC unchanged since the last build began, with no file added, removed or edited? A pinned
# source never changes. ctime decides, since a file that was moved here keeps its old mtime.
source_is_built() {
	[[ -n $KERNEL_SRC ]] || return 0
	local changed
	"$ROOT/scripts/farm.sh" "$src" "$dir/source" || return 1
	# shellcheck disable=SC2185 # no path: find takes them from the list
	changed=$(cd "$src" && find -files0-from "$dir/source.files" -cnewer "$dir/built" -print -quit 2>&1) || return 1
	[[ -z $changed && ! $dir/source.files -nt $dir/built ]]
}

# is_up_to_date: is the kernel built, from the present inputs and source?
is_up_to_date() {
	local file
	for file in built vmlinux.pvh obj/vmlinux obj/vmlinux-gdb.py source.files; do
		[[ -f $dir/$file ]] || return 1
	done
	[[ $(cat "$dir/built") == "$(inputs)" ]] && source_is_built
}

# compile: build the kernel, and check that everything the lab needs was made
compile() {
	local log=$dir/build.log status=0
	# modules_prepare and modules make scripts/module.lds and Module.symvers, for `make -C obj M=folder modules`
	local targets=(vmlinux bzImage modules_prepare modules scripts_gdb)
	if [[ ${V:-} == 1 ]]; then
		kbuild "$dir/source" "$dir/obj" -j"$(nproc)" V=1 "${targets[@]}" 2>&1 | tee "$log" || status=$?
	else
		run_logged "kernel $name" "$log" \
			kbuild "$dir/source" "$dir/obj" -j"$(nproc)" "${targets[@]}" || status=$?
	fi
	if ((status)); then
		[[ ${V:-} == 1 ]] || tail -n 20 "$log" >&2
		die "the kernel could not be built: see above, and the whole log $log."
	fi
	[[ -f $dir/obj/Module.symvers && -f $dir/obj/scripts/module.lds ]] ||
		die "what modules are built with was not made: look for the reason in $log."
	[[ -f $dir/obj/vmlinux-gdb.py && -f $dir/obj/scripts/gdb/linux/constants.py ]] ||
		die "the kernel's gdb scripts were not built: look for the reason in $log."
	grep -q ' T __x64_sys_segment_info$' "$dir/obj/System.map" ||
		die "the kernel was built without segment_info(): look for the reason in $log."
}

make_room
"$ROOT/scripts/fetch.sh"
name=$(kernel_name)
if [[ -n $KERNEL_SRC ]]; then
	src=$(realpath -e -- "$KERNEL_SRC")
	check_tree "$src"
else
	src=$BUILD/sources/linux-$(kernel_version)
fi
mkdir -p -- "$BUILD/kernels/$name"
dir=$(cd "$BUILD/kernels/$name" && pwd -P)
take_lock "$dir/.lock"

# A kernel cannot be moved: one that was built elsewhere is built again.
if [[ -f $dir/built_in && $(cat "$dir/built_in") != "$dir" ]]; then
	rm -rf -- "$dir"/{obj,source,source.links,source.files,built,built_in}
fi
[[ -f $dir/built_in ]] || echo "$dir" >"$dir/built_in"

! is_up_to_date || exit 0

"$ROOT/scripts/farm.sh" "$src" "$dir/source"
# Written before any source is read, so that a file edited while the compiler runs counts as changed after it.
inputs >"$dir/built.new"
"$ROOT/kernel/wire.sh" "$src" "$dir/source"
"$ROOT/scripts/configure.sh" "$dir/source" "$dir/obj"
compile
if [[ ! $dir/vmlinux.pvh -nt $dir/obj/vmlinux ]]; then
	# The image that QEMU boots. The debug info, most of vmlinux, is needed by gdb only.
	objcopy --strip-debug "$dir/obj/vmlinux" "$dir/vmlinux.pvh.new"
	mv -- "$dir/vmlinux.pvh.new" "$dir/vmlinux.pvh"
fi
mv -- "$dir/built.new" "$dir/built"
