#!/usr/bin/env bash
# Usage: scripts/farm.sh SRC TREE
#
# Makes TREE look like the kernel tree SRC without its build products: real folders where TREE has to differ from SRC (a
# file that is wired, a build product that is left out), symlinks to SRC for everything else. So SRC is not modified,
# and changes in it take effect at once. Run again, it adds and removes only the links that differ.
#
# TREE.files lists SRC's files, TREE.links the links; each name ends with a NUL.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
export LC_ALL=C

src=$(realpath -e -- "$1")
tree=$(realpath -m -- "$2")
readonly src tree

# Always real: the folders of files that kernel/wire.sh changes, and those that Kbuild enters with `make -C`: through a
# link, make would end up in SRC, whose path may contain a space.
readonly real_folders='^(mm|kernel|lib|include(/linux|/uapi(/linux)?)?|arch(/x86(/entry(/syscalls)?|/platform(/pvh)?)?)?|scripts(/gdb(/linux)?)?|tools(/(arch|build|include|lib|objtool|scripts)(/.*)?)?)$'

# The patterns of the kernel's own .gitignore, for trees without one (archives made without dot files).
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
# Debian's linux-source ignores everything at the top, since Debian's repository does not contain the kernel itself.
if grep -qsx '/[*]' "$src/.gitignore"; then ignore+=('--exclude=!/*'); fi
if [[ ! -f $src/.gitignore || ${#ignore[@]} -gt 1 ]]; then
	for pattern in "${build_products[@]}"; do ignore+=("--exclude=$pattern"); done
fi

# list OPTION...: the names that git ls-files prints with these options, except git repositories inside SRC, whose names
# end with a slash
list() {
	git --git-dir="$stage/git" --work-tree="$src" ls-files -z --others "$@" | grep -zv '/$' || true
}

list "${ignore[@]}" >"$stage/files"
list --ignored "${ignore[@]}" >"$stage/products"

# A folder is real if it must be, or if there is a build product below it. Each file is reached through one link: the
# first part of its path that is not a real folder, which is the file itself or a folder above it.
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

# keep NAME: copy it from the stage to TREE.NAME, atomically and only if it differs
keep() {
	if ! cmp -s "$stage/$1" "$tree.$1"; then
		cp -- "$stage/$1" "$tree.$1.new"
		mv -- "$tree.$1.new" "$tree.$1"
	fi
}

# link FOLDER: make links in it to the files in $batch
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
	# A folder that was real may have to become a link.
	find "$tree" -mindepth 1 -type d -empty -delete
	batch=() last=''
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
