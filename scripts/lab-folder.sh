# shellcheck shell=bash
# A lab's private folder, which lives as long as the lab does: made, locked, and removed with all that is the lab's.
# Sourced by machine.sh.

# The RAM file and the sockets are in it: private to the user, in memory, with a short name, since the name of a unix
# socket holds 107 bytes at most.
shm=/dev/shm
[[ -d $shm && -w $shm ]] || shm=$(realpath -m -- "${TMPDIR:-/tmp}")
RUN=$shm/seginfo-lab-$(id -u)-$PORT

FOLDER='' # the descriptor of RUN, once it is ours and locked
HELD=''   # that of a folder that is looked at

# make_run_folder: RUN, open and locked as FOLDER. The lock says that the lab lives: QEMU holds it, too. The folder of a
# lab that was killed goes with the next start of any other.
make_run_folder() {
	local tries status=1
	sweep
	for ((tries = 0; status && tries < 100; tries++)); do # a sweep may be faster
		mkdir -m 700 -- "$RUN" 2>/dev/null || true
		status=0
		hold "$RUN" 1 || status=$? # what was killed just now is about to end, and so is a sweep
		((status != 2)) ||
			die "a lab with PORT=$PORT is running: give this one another number, for example" \
				"PORT=$((PORT % 65535 + 1))."
	done
	((!status)) || die "$RUN cannot be made or is not a private folder of yours: give another PORT."
	# shellcheck disable=SC2034 # guest.sh removes it at the end
	FOLDER=$HELD
}

# hold FOLDER SECONDS: open a lab's folder as HELD, and wait so long for its lock. 0 if it is held; 2 if a lab
# has the lock; 1, and nothing is open, if there is no such folder of ours.
hold() {
	{ exec {HELD}<"$1/."; } 2>/dev/null || return 1 # with the dot it is a folder, and no pipe to wait for
	local status=1
	if is_private "$1" "$HELD"; then
		if ! flock --timeout "$2" "$HELD"; then
			status=2
		elif is_private "$1" "$HELD"; then # or a sweep has removed it meanwhile
			return 0
		fi
	fi
	exec {HELD}<&-
	return "$status"
}

# is_private FOLDER DESCRIPTOR: is what is open the folder of this name, no link to it, and of this user alone? Others
# may change where a name in $shm leads, between any two looks at it; but not what is open, nor the name of a folder of
# ours.
is_private() {
	local format='%d %i %u %a %F' open named
	open=$(LC_ALL=C stat -L -c "$format" "/proc/self/fd/$2") || return 1
	named=$(LC_ALL=C stat -c "$format" -- "$1" 2>/dev/null) || return 1
	[[ $open == "$named" && $open == *" $EUID 700 directory" ]]
}

# also_ours PATH...: to be removed with the folder. Said before it is made, so that nobody is killed in between; but for
# what was somebody's before, which is said when it is ours to remove (record.sh).
also_ours() {
	printf '%s\0' "$@" >>"$RUN/also" || die "$RUN cannot be written to: make room in $shm."
}

# discard DESCRIPTOR: the lab's folder that is held there is emptied, and what else was the lab's is removed. What
# cannot be removed is no reason not to start or to end a lab.
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

# Remove what labs that were killed have left: the folders of this user's whose lock is free.
sweep() {
	local folder
	for folder in {"$shm","${TMPDIR:-/tmp}"}/seginfo-lab-"$(id -u)"-*; do
		hold "$folder" 0 || continue
		discard "$HELD"
		rmdir -- "$folder" 2>/dev/null || true # it is empty, or it stays
		exec {HELD}<&-
	done
}
