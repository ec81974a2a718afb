#!/usr/bin/env bash
# Usage: scripts/farm.sh SRC TREE
#
# Makes TREE look like the kernel tree SRC without its build products: real folders where something has to differ from
# SRC (a file that is wired, a build product that is left out), symlinks to SRC for all the rest. So SRC stays as it is
# and what is changed in it is seen at once. Run again, it adds and removes links only where that is needed.
#
# TREE.files is the list of SRC's files, TREE.links the list of links, each name ended by a NUL.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
export LC_ALL=C

src=$(realpath -e -- "$1")
tree=$(realpath -m -- "$2")
readonly src tree

# Real folders in any case: those of the files that kernel/wire.sh touches, and what Kbuild enters with `make -C`, which
# would find itself in SRC, where there may be a space in the path.
readonly real_folders='^(mm|kernel|lib|include(/linux|/uapi(/linux)?)?|arch(/x86(/entry(/syscalls)?|/platform(/pvh)?)?)?|scripts(/gdb(/linux)?)?|tools(/(arch|build|include|lib|objtool|scripts)(/.*)?)?)$'

# What the kernel's own .gitignore says, for trees that have lost it (archives made without dot files).
readonly build_products=(
	'.*' '!.gitignore' '*.a' '*.asn1.[ch]' '*.bin' '*.dtb' '*.gz' '*.ko' '*.lex.c' '*.mod' '*.mod.c' '*.o' '*.o.*' '*.s'
	'*.so' '*.so.dbg' '*.tab.[ch]' 'Module.symvers' 'modules.builtin' 'modules.order' '/vmlinux*' '/System.map'
	'/include/config/' '/include/generated/' '/include/ksym/' '/arch/*/include/generated/'
)

stage=$(mktemp -d)
trap 'rm -rf -- "$stage"' EXIT

# An empty repository beside SRC lets git list any folder by the rules of its .gitignore files.
git init -q --bare "$stage/git"
ignore=(--exclude-per-directory=.gitignore)
# Debian's linux-source ignores all that is at the top, since its own repository has no kernel in it.
if grep -qsx '/[*]' "$src/.gitignore"; then ignore+=('--exclude=!/*'); fi
if [[ ! -f $src/.gitignore || ${#ignore[@]} -gt 1 ]]; then
	for pattern in "${build_products[@]}"; do ignore+=("--exclude=$pattern"); done
fi

list() {
	# A name with a slash at its end is another git repository inside SRC.
	git --git-dir="$stage/git" --work-tree="$src" ls-files -z --others "$@" | grep -zv '/$' || true
}

list "${ignore[@]}" >"$stage/files"
list --ignored "${ignore[@]}" >"$stage/products"

# A folder is real if it must be, or if there is a build product below it. For each file, the link is the first part of
# its path that is no real folder: the file itself or a folder above it.
REAL=$real_folders awk -v RS='\0' '
	function is_real(folder) {
		if (!(folder in real))
			real[folder] = folder ~ ENVIRON["REAL"]
		return real[folder]
	}
	FILENAME == ARGV[1] {
		for (path = $0; sub(/\/[^\/]*$/, "", path); )
			real[path] = 1
		next
	}
	{
		n = split($0, part, "/")
		path = part[1]
		for (i = 2; i <= n && is_real(path); i++)
			path = path "/" part[i]
		if (!(path in links)) {
			links[path]
			printf "%s%c", path, 0
		}
	}' "$stage/products" "$stage/files" | sort -z >"$stage/links"

# keep NAME: from the stage to TREE.NAME, at once and only if it is different
keep() {
	if ! cmp -s "$stage/$1" "$tree.$1"; then
		cp -- "$stage/$1" "$tree.$1.new"
		mv -- "$tree.$1.new" "$tree.$1"
	fi
}

# link FOLDER: to what is in $batch
link() {
	((${#batch[@]})) || return 0
	mkdir -p -- "$tree/$1"
	printf '%s\0' "${batch[@]}" | xargs -0 ln -sfn -t "$tree/$1" --
}

if [[ ! -f $tree.links ]]; then
	# No farm yet, or one that was never finished
	rm -rf -- "$tree"
	mkdir -p -- "$tree"
	: >"$tree.links"
fi
if ! cmp -s "$stage/links" "$tree.links"; then
	comm -z -23 "$tree.links" "$stage/links" | (cd "$tree" && xargs -0r rm -f --)
	# What was a real folder may have become a link.
	find "$tree" -mindepth 1 -type d -empty -delete
	batch=() last=
	while IFS= read -r -d '' path; do
		folder=${path%"${path##*/}"}
		if [[ $folder != "$last" ]]; then
			link "$last"
			batch=() last=$folder
		fi
		batch+=("$src/$path")
	done < <(comm -z -13 "$tree.links" "$stage/links")
	link "$last"
fi
keep links
keep files
