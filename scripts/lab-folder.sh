# shellcheck shell=bash
# A lab's private folder, which exists as long as the lab runs: making it, locking it, and removing it together with the
# lab's other files. Sourced by machine.sh.

# RUN holds the RAM file and the sockets. It is private to the user, in memory, and has a short name, since the path of
# a unix socket may have 107 bytes at most.
shm=/dev/shm
[[ -d $shm && -w $shm ]] || shm=$(realpath -m -- "${TMPDIR:-/tmp}")
RUN=$shm/seginfo-lab-$(id -u)-$PORT

FOLDER='' # the descriptor of RUN, once it is ours and locked
HELD=''   # the descriptor that hold() has opened

# make_run_folder: make RUN, open it as FOLDER and lock it. The lock, which QEMU holds too, shows that the lab is
# running. The folder of a lab that was killed is removed when the next lab starts.
make_run_folder() {
	local tries status=1
	sweep
	for ((tries = 0; status && tries < 100; tries++)); do # another lab's sweep may remove it first
		mkdir -m 700 -- "$RUN" 2>/dev/null || true
		status=0
		hold "$RUN" 1 || status=$? # a lab that was just killed, or a sweep, lets go of the lock soon
		((status != 2)) ||
			die "a lab with PORT=$PORT is running: give this one another number, for example" \
				"PORT=$((PORT % 65535 + 1))."
	done
	((!status)) || die "$RUN cannot be made or is not a private folder of yours: give another PORT."
	# shellcheck disable=SC2034 # guest.sh removes it at the end
	FOLDER=$HELD
}

# hold FOLDER SECONDS: open a lab's folder as HELD and wait up to SECONDS for its lock. Returns 0 if it is locked; else
# closes it and returns 2 if a lab has the lock, 1 if there is no such folder of ours.
hold() {
	{ exec {HELD}<"$1/."; } 2>/dev/null || return 1 # the dot makes sure it is a folder: opening a pipe would block
	local status=1
	if is_private "$1" "$HELD"; then
		if ! flock --timeout "$2" "$HELD"; then
			status=2
		elif is_private "$1" "$HELD"; then # again, since a sweep may have removed it in the meantime
			return 0
		fi
	fi
	exec {HELD}<&-
	return "$status"
}

# is_private FOLDER DESCRIPTOR: is the open descriptor the folder of this name, not a link, and private to this user?
# Others may change what a name in $shm refers to at any time, but neither what is open nor the name of a folder of
# ours.
is_private() {
	local format='%d %i %u %a %F' open named
	open=$(LC_ALL=C stat -L -c "$format" "/proc/self/fd/$2") || return 1
	named=$(LC_ALL=C stat -c "$format" -- "$1" 2>/dev/null) || return 1
	[[ $open == "$named" && $open == *" $EUID 700 directory" ]]
}

# also_ours PATH...: remove these with the folder. Call it before making them, since the lab may be killed in between;
# only for a path that was somebody else's before, call it once it is ours to remove (record.sh).
also_ours() {
	printf '%s\0' "$@" >>"$RUN/also" || die "$RUN cannot be written to: make room in $shm."
}

# discard DESCRIPTOR: empty the lab's folder open there, and remove the paths given to also_ours. What cannot be removed
# does not keep a lab from starting or ending.
discard() {
	local folder=/proc/self/fd/$1 also=/proc/self/fd/$1/also path
	if [[ -f $also && ! -L $also && -O $also ]]; then
		while IFS= read -r -d '' path; do
			rm -rf -- "$path" 2>/dev/null ||
				note "${path@Q}, which a lab has left, cannot be removed: remove it by hand."
		done <"$also"
	fi
	find "$folder/" -mindepth 1 -delete 2>/dev/null ||
		note "what a lab has left in $(readlink -- "$folder") cannot be removed: remove it by hand."
}

# sweep: remove what killed labs have left, the folders of this user whose lock is free
sweep() {
	local folder
	for folder in {"$shm","${TMPDIR:-/tmp}"}/seginfo-lab-"$(id -u)"-*; do
		hold "$folder" 0 || continue
		discard "$HELD"
		rmdir -- "$folder" 2>/dev/null || true # it stays if something in it could not be removed
		exec {HELD}<&-
	done
}
