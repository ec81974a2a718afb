#!/usr/bin/env bash
# Usage: kernel/wire.sh SRC TREE
#
# Wires the segment_info() system call into TREE the way Documentation/process/adding-syscalls.rst asks for: source
# file, uapi header, Kconfig symbol, prototype, table entry, COND_SYSCALL. Also mends the kernel's own gdb commands.
#
# Every changed file is made from SRC's, which may be wired already and is only read. TREE is a farm of symlinks to SRC
# (scripts/farm.sh): links are replaced by real files, and a file that is already right is left alone, so that a second
# run causes no rebuild. If anything fails, TREE is not touched at all.
set -euo pipefail

readonly number=451
readonly src=$1 tree=$2
here=$(cd "$(dirname "$0")" && pwd -P)
stage=$(mktemp -d)
trap 'rm -rf -- "$stage"' EXIT

# die SENTENCE: print what is wrong and what to do next, and exit
die() {
	printf 'error: %s\n' "$*" >&2
	exit 1
}

# last_line FILE PATTERN: the number of the last matching line, 0 if there is none
last_line() {
	awk -v pattern="$2" '$0 ~ pattern { line = NR } END { print line + 0 }' "$src/$1"
}

# add FILE WIRED LINE TEXT: insert TEXT after that line of FILE, unless FILE already has a line that matches WIRED
add() {
	(($3 > 0)) ||
		die "$src/$1 is not as expected, there is no place to wire segment_info() in: give an unchanged Linux, 5.10" \
			"to 6.4."
	mkdir -p -- "$stage/${1%/*}"
	if grep -q -- "$2" "$src/$1"; then
		cp -- "$src/$1" "$stage/$1"
	else
		TEXT=$4 awk -v line="$3" '1; NR == line { print ENVIRON["TEXT"] }' "$src/$1" >"$stage/$1"
	fi
}

# check_number TABLE: die unless our number is free, or already ours
check_number() {
	local owner
	owner=$(awk -v n="$number" '$1 == n && $3 != "segment_info" { print $3; exit }' "$src/$1")
	[[ -z $owner ]] ||
		die "system call $number is taken by $owner in $src/$1 (Linux 6.5 gave it to cachestat): give a Linux from" \
			"5.10 to 6.4."
	owner=$(awk -v n="$number" '$3 == "segment_info" && $1 != n { print $1; exit }' "$src/$1")
	[[ -z $owner ]] ||
		die "$src/$1 has segment_info() as system call $owner, but programs are compiled for $number: give a tree" \
			"without it."
}

readonly table=arch/x86/entry/syscalls/syscall_64.tbl pvh=arch/x86/platform/pvh/Makefile lib=lib/Makefile
readonly gdb=scripts/gdb
readonly constants=$gdb/linux/constants.py.in
touched=(mm/Makefile mm/Kconfig kernel/sys_ni.c include/linux/syscalls.h "$table" "$pvh" "$lib" "$constants")
touched+=("$gdb/vmlinux-gdb.py")
for file in "${touched[@]}"; do
	[[ -f $src/$file ]] || die "$src has no $file: give a complete Linux source tree, 5.10 to 6.4."
done

add mm/Makefile 'segment_info\.o' "$(last_line mm/Makefile '^')" \
	"obj-\$(CONFIG_SEGMENT_INFO) += segment_info.o"

add mm/Kconfig '^config SEGMENT_INFO$' "$(($(last_line mm/Kconfig '^endmenu') - 1))" \
	"$(cat "$here/Kconfig")"$'\n'

# At the end, where no #if is open.
add kernel/sys_ni.c 'COND_SYSCALL(segment_info)' "$(last_line kernel/sys_ni.c '^')" \
	$'\n/* mm/segment_info.c */\nCOND_SYSCALL(segment_info);'

# Before that comment, whose first line, /*, is one line above.
add include/linux/syscalls.h 'sys_segment_info(' \
	"$(($(last_line include/linux/syscalls.h '^ [*] Architecture-specific system calls') - 2))" \
	$'/* mm/segment_info.c */
struct segment_info;
asmlinkage long sys_segment_info(struct segment_info __user *info);\n'

# After the last call below 512, where x32's own calls begin. The ABI is "64", not "common": the struct consists of
# unsigned long, which has 4 bytes in x32 programs.
check_number "$table"
add "$table" '[[:space:]]segment_info[[:space:]]' \
	"$(awk '/^[0-9]/ && $1 < 512 { line = NR } END { print line + 0 }' "$src/$table")" \
	"$number	64	segment_info		sys_segment_info"

# xen_prepare_pvh() runs before KASAN's shadow is mapped. If it were instrumented, it would access the shadow, and the
# unhandled fault would silently reset the machine. So exempt it, as arch/x86/kernel/Makefile does for head64.o, and
# memcmp(), which it calls, as lib/Makefile does with CONFIG_AMD_MEM_ENCRYPT.
add "$pvh" '^KASAN_SANITIZE_enlighten\.o' "$(last_line "$pvh" '^')" "KASAN_SANITIZE_enlighten.o := n"
add "$lib" '^# called by xen_prepare_pvh' "$(last_line "$lib" '^')" \
	$'\n# called by xen_prepare_pvh()\nKASAN_SANITIZE_string.o := n'

# The kernel's own gdb commands are not ours, but upstream's bugs in them get in the way. Each line below changes only
# what it finds.
while IFS= read -r file; do
	touched+=("$gdb/linux/${file##*/}")
done < <(find "$src/$gdb/linux/" -name '*.py' ! -name constants.py ! -name lab.py ! -name printable.py | sort)

# mend FILE SED-SCRIPT: edit FILE, if this kernel has it
mend() {
	[[ -f $src/$1 ]] || return 0
	mkdir -p -- "$stage/${1%/*}"
	[[ -f $stage/$1 ]] || cp -- "$src/$1" "$stage/$1"
	sed -i "$2" "$stage/$1"
}

for file in "${touched[@]}"; do
	# Whatever bytes a string of the guest has, it is shown unambiguously and neither ends a list nor breaks a line: see
	# kernel/lx.py.
	[[ $file != *.py ]] || mend "$file" 's/\.string()/.string("lab_name")/g'
	# Compare types by name, as C does. gdb compares their members, but one object file may have only a declaration of
	# what another one defines, and which of them gdb finds first depends on whether it has an index.
	[[ $file != *.py ]] || mend "$file" \
		's/(*\([][a-z_.()0-9]*\.type\) \([!=]=\) \(\w*\.get_type()\(\.pointer()\)\?\))*:$/str(\1.strip_typedefs()) \2 str(\3):/'
done
mend "$gdb/linux/proc.py" '/linux_banner/s/lab_name/lab_text/'
mend "$gdb/linux/dmesg.py" "/encode(/!s/encoding='utf8', errors='replace'/\"lab_text\"/"

# In 5.10.223 and other stable kernels SB_RDONLY and the like have become BIT(n), 1UL << n, which is not Python and has
# to be parsed by gdb. Fixed upstream in 6.5.
mend "$constants" 's/^LX_VALUE(SB_/LX_GDBPARSED(SB_/'

# lx-timerlist: a timerqueue has no `next` since 5.4 (511885d7061e); xrange(), an enumerator used as a string and bytes
# added to a string are Python 2; the function of a timer that belongs to a module has no name.
mend "$gdb/linux/timerlist.py" "s/\<xrange(/range(/
	s/curr = base\['active'\]\['next'\]\['node'\]/curr = base['active']['rb_root']['rb_leftmost']/
	/curr = curr\.address\.cast(rbtree\.rb_node_type/d
	s/\.format(max_clock_bases)/.format(int(max_clock_bases))/
	s/binascii\.b2a_hex(buf)$/&.decode()/
	s/\.split(\" \")\[1\]/.split(\" \")[-1]/"

# $lx_rb_prev() compares a pointer with a dereferenced one.
mend "$gdb/linux/rbtree.py" '/^def rb_prev/,/^class/ s/\.dereference()//'

# lx-symbols: from Python 3.12 on, "\." without an r is a warning.
mend "$gdb/linux/symbols.py" 's/module_pattern = "/module_pattern = r"/'

# Any other error becomes one sentence: see kernel/lx.py.
mend "$gdb/vmlinux-gdb.py" '/linux\.lab/d'
mend "$gdb/vmlinux-gdb.py" "s/^else:\$/&\n    import linux.lab/
	\$a\    linux.lab.ready()"

# If a folder of TREE is itself a link, it leads into SRC, where nothing may be written.
real_tree=$(realpath -e -- "$tree")
for file in "${touched[@]}" include/uapi/linux/segment_info.h; do
	[[ $(realpath -e -- "$tree/${file%/*}") == "$real_tree/${file%/*}" ]] ||
		die "$tree/${file%/*} is a link to a folder elsewhere: make a farm for kernel/wire.sh with scripts/farm.sh."
done

# place FILE: move it from the stage into TREE, unless the same file is there. Never writes through a link.
place() {
	[[ -L $tree/$1 ]] || ! cmp -s -- "$stage/$1" "$tree/$1" || return 0
	install -m 644 -- "$stage/$1" "$tree/$1.new"
	mv -f -- "$tree/$1.new" "$tree/$1"
}

# place_link FILE TARGET: link to a file of ours, so that editing it where the debugger shows it edits the original
place_link() {
	[[ $(readlink -- "$tree/$1" || true) == "$2" ]] || ln -sfn -- "$2" "$tree/$1"
}

place_link mm/segment_info.c "$here/segment_info.c"
place_link include/uapi/linux/segment_info.h "$here/segment_info.h"
place_link scripts/gdb/linux/lab.py "$here/lx.py"
place_link scripts/gdb/linux/printable.py "${here%/*}/gdb/lab/printable.py"
for file in "${touched[@]}"; do
	place "$file"
done
