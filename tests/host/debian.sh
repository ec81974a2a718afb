#!/usr/bin/env bash
# Usage: tests/host/debian.sh SUITE FOLDER [COMMAND...]
#
# Runs the lab on another Debian release than this machine's, such as trixie, which is Debian 13. Makes a chroot of
# SUITE in FOLDER unless there is one, from the archive that this machine's apt uses, updates a clone of the lab in it
# to the commit checked out here, and runs COMMAND there (make test if none is given). Its mounts and processes end with
# it; the chroot stays for the next time, and rm -rf FOLDER removes it. This is run by hand: it needs root, the package
# debootstrap, and the time and disk space of a lab built from scratch.
#
#     tests/host/debian.sh trixie /var/tmp/trixie make test KERNEL=5.10.223 T=tests/debugger/test_record.py
# shellcheck source-path=SCRIPTDIR source=../../scripts/lib.sh
. "$(dirname "$0")/../../scripts/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../../scripts/archive.sh
. "$ROOT/scripts/archive.sh"

(($# >= 2)) || die "which Debian, and where? See --help of $0."
suite=$1 folder=$(realpath -ms -- "$2")
readonly suite folder
shift 2
(($#)) || set -- make test
((EUID == 0)) || die "a chroot can be made by root only: run this as root."
command -v debootstrap >/dev/null || die "debootstrap is missing: type apt-get install debootstrap."

# is_safe PATH TEST...: does PATH belong to root, and match find's TESTs?
is_safe() {
	[[ -n $(find "$1" -maxdepth 0 -uid 0 "${@:2}") ]]
}

# check_path: die if others than root could write in the folder or replace it, since root runs what is in it
check_path() {
	local path=$folder
	if [[ -e $path || -L $path ]]; then
		is_safe "$path" -type d ! -perm /022 ||
			die "$folder is no folder that is root's and that only root can write in: name another, or remove it."
	fi
	while [[ $path != / ]]; do
		path=$(dirname -- "$path")
		[[ -e $path ]] || continue
		is_safe "$path" \( -type l -o ! -perm /022 -o -perm -1000 \) ||
			die "in $path others than root can put something in the place of $folder: name another folder."
	done
}

check_path
if [[ ! -d $folder ]]; then
	read -r site < <(archive_sites) ||
		die "apt on this machine uses no http archive to get $suite from: add one to its sources."
	rm -rf -- "$folder.new"
	mkdir -p -- "${folder%/*}/"
	mkdir -m 755 -- "$folder.new" # fails if somebody has made it in the meantime
	debootstrap --variant=minbase --include=ca-certificates,git,make "$suite" "$folder.new" "$site"
	mv -T -- "$folder.new" "$folder"
fi
readonly clone=$folder/root/lab
[[ -d $clone ]] || git clone -q --no-checkout "$ROOT" "$clone"
git -C "$clone" fetch -q "$ROOT" HEAD
git -C "$clone" checkout -q --force --detach FETCH_HEAD

# shellcheck disable=SC2016 # expanded by that bash
exec unshare --mount --pid --fork --kill-child bash -euc '
	cd "$1"
	mount -t proc proc proc
	mount --rbind /sys sys
	mount --rbind /dev dev
	mount -t tmpfs tmpfs dev/shm
	exec chroot . /usr/bin/env -i --chdir=/root/lab HOME=/root LANG=C.UTF-8 TERM="${TERM:-dumb}" \
		PATH=/usr/sbin:/usr/bin:/sbin:/bin "${@:2}"' bash "$folder" "$@"
