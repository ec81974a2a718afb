# shellcheck shell=bash
# A guest's life and end. Shared by boot.sh, debug.sh, verify.sh, record.sh and replay.sh, which source it and call, in
# this order:
#
#   check_settings        what was asked for can be had (machine.sh)
#   start_lab             from here on there is a folder, and an end that removes it
#   prepare_machine THEN  room for the guest's memory, its image and words (machine.sh)
#   compose_qemu MODE     QEMU, its command line (machine.sh)
#   launch_guest          QEMU runs, paused, and gdb is let in
#   open_gdb              gdb for a person; verify.sh and record.sh start one without
#
# A process is started by child() or await() only: so it ends with the script.

# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=machine.sh
. "$ROOT/scripts/machine.sh"

QEMU_PID='' QEMU_STATUS=''

KEPT+=(ENDED ERRORS) # and FOLDER, which QEMU alone inherits
ENDED=''  # a pipe: a line in it tells writer.py that the lab has ended
ERRORS='' # standard error, as it was

# start_lab: make the lab's folder, empty, and the end that removes it.
start_lab() {
	trap 'exit 130' INT
	trap 'exit 143' TERM
	trap 'exit 129' HUP
	make_run_folder
	trap end_guest EXIT # from here on the folder is ours to remove
	discard "$FOLDER"
	{ mkdir -p -- "$LOGS" "$BUILD/share" && rm -f -- "$LOGS/console.log" && : >"$LOGS/qemu.log"; } 2>/dev/null ||
		die "$LOGS cannot be written to: make it writable, or work in a clone of your own."
	{ echo >"$LOGS/qemu.log" && echo >"$RUN/also"; } 2>/dev/null ||
		die "there is no room left in $LOGS or in $RUN: make some."
	: >"$RUN/also"
	mind_output
}

# What goes to a file or a pipe goes by way of writer.py, which notices if it cannot be written: gdb and QEMU do not.
# Errors go the same way if they go to the same place, so that the order stays.
mind_output() {
	[[ ! -t 1 ]] || return 0
	mkfifo -- "$RUN/end"
	exec {ENDED}<>"$RUN/end" {ERRORS}>&2
	if [[ /dev/stdout -ef /dev/stderr ]]; then
		exec > >(write_output) 2>&1
	else
		exec > >(write_output)
	fi
	WRITER=$!
}

write_output() {
	close ERRORS FOLDER
	exec /usr/bin/python3 -IS "$ROOT/scripts/writer.py" "$ENDED" 2>/dev/null
}

# output_is_written STATUS: to the end, which a reader may take its time for; only a lab that was told to end does not
# wait.
output_is_written() {
	[[ -n ${WRITER:-} ]] || return 0
	exec 1>&"$ERRORS" 2>&"$ERRORS"
	echo >&"$ENDED" # what gdb has started may live on, and could write more
	(($1 <= 128)) || return 0
	trap - INT TERM HUP
	local status=0
	wait "$WRITER" || status=$?
	# 141: the reader wanted no more, and knows that
	[[ $status == 0 || $status == 141 ]] ||
		echo "error: not all that was said could be written to standard output: make room there." >&2
	return "$status"
}

# program_status FILE: with what the program ended that had this console; empty if the guest ended before it. What the
# program says itself may look like that line: only the last one is /init's.
program_status() {
	LC_ALL=C sed -n 's/\r$//; s/.*lab: [^ ]* exited with \([0-9]\{1,3\}\)$/\1/p' "$1" | tail -n 1
}

# Does somebody listen on the stub's socket? Reads the kernel's table: to connect would stop the guest.
stub_listens() {
	[[ $(grep -F -- " $STUB" /proc/net/unix) == *" 00010000 "* ]] # __SO_ACCEPTCON
}

# Let gdb in, through a socket in our folder and through port GDB_TCP if one is given.
launch_relay() {
	local said='' out pipe KEPT=("${KEPT[@]}" pipe)
	mkfifo -- "$RUN/said"
	exec {pipe}<>"$RUN/said" # so that to open one end waits for nobody
	child setsid /usr/bin/python3 -I "$ROOT/scripts/relay.py" \
		"$STUB" "$GDB_SOCKET" ${GDB_TCP:+"$GDB_TCP"} </dev/null >"$RUN/said" 2>"$LOGS/relay.log"
	exec {out}<"$RUN/said" {pipe}<&-
	read -r said <&"$out" || true
	exec {out}<&-
	[[ $said == ready ]] || die "gdb cannot be let in${GDB_TCP:+ with GDB_TCP=$GDB_TCP}:" \
		"${said:-$(tail -n 1 "$LOGS/relay.log")}."
}

# Run QEMU in the background, away from the terminal's Ctrl-C; wait for its stub.
launch_guest() {
	launch_relay
	HOLDS_LOCK=1 child setsid "${QEMU[@]}" </dev/null >"$LOGS/qemu.log" 2>&1
	QEMU_PID=$CHILD
	local tries
	for ((tries = 0; tries < 500; tries++)); do
		! stub_listens || return 0
		kill -0 "$QEMU_PID" 2>/dev/null || break
		sleep 0.02
	done
	local last
	last=$(tail -n 1 "$LOGS/qemu.log" | printable)
	die "QEMU did not start: ${last:-it ended without a word}"
}

# gdb's index of vmlinux is kept beside it: without one, the first look at a type takes 20 times as long, 4 s. Of what
# is loaded later, which may be any program, none is made.
KEEP_INDEX=()
if [[ -w $KDIR/obj ]]; then
	KEEP_INDEX=(-iex "set index-cache directory $KDIR/obj/gdb-index" -iex "set index-cache enabled on")
	KEEP_INDEX+=(-ex "set index-cache enabled off")
fi
readonly KEEP_INDEX

# gdb without a person: nothing that one has set for a gdb or a Python of theirs is read.
PYTHONS=("${!PYTHON@}")
# shellcheck disable=SC2034 # for the scripts that source this
BATCH_GDB=(env "${PYTHONS[@]/#/--unset=}" PYTHONNOUSERSITE=1 gdb -nx -q -batch -iex "set auto-load no"
	"${KEEP_INDEX[@]}")

# The end, however it comes: of what was started first, then of the folder.
end_guest() {
	local status=$? running
	trap '' INT TERM HUP
	mapfile -t running < <(jobs -pr) # those that are not waited for: no other process has their number
	if ((${#running[@]})); then
		kill -KILL "${running[@]}" 2>/dev/null || true
		{ wait "${running[@]}" || true; } 2>/dev/null
	fi
	[[ -z ${TERMINAL:-} ]] || restore_terminal "$TERMINAL"
	discard "$FOLDER"
	rmdir -- "$RUN" 2>/dev/null || true
	output_is_written "$status" || status=1
	exit "$status"
}

# child COMMAND...: as a process in the background, which ends with this script; CHILD is its number. With HOLDS_LOCK=1
# the lab lives as long as it does.
child() {
	become "$@" <&0 &
	CHILD=$!
}

# become COMMAND...: what child() has forked. What is kept from it is closed only here: what is closed for a call of a
# function is closed for the end of this script as well, if that comes meanwhile.
become() {
	close "${KEPT[@]}"
	[[ -n ${HOLDS_LOCK:-} ]] || close FOLDER
	bound "$@"
}

# wait_for CHILD: wait for it; its status. A signal to this script ends the waiting at once, as it would not for a
# process in the foreground. What bash says of a process that was killed is no news.
wait_for() {
	local status=0
	# Not the end of the group: leaving the script in it would leave our standard error open, and who reads it waiting
	{ wait "$1" || status=$?; } 2>/dev/null
	return "$status"
}

# await COMMAND...: a process of this script's, from its start to its end.
await() {
	child "$@"
	wait_for "$CHILD"
}

# child_within SECONDS COMMAND...: as child(), killed when the time is over; see is_over.
child_within() {
	STARTED=$SECONDS SECONDS_GIVEN=$1
	# shellcheck disable=SC2016 # for the bash in between, which sees to it that its parent lives, as bound() does
	child timeout --foreground --signal=KILL "$1" setpriv --pdeathsig KILL \
		bash -c '[[ $(<"/proc/$PPID/comm") == timeout ]] && exec "$@"' bash "${@:2}"
}

# is_over STATUS: did the last child_within() end because its time was over?
is_over() {
	[[ $1 == 137 ]] && ((SECONDS - STARTED >= SECONDS_GIVEN))
}

# ask_qemu: QEMU_STATUS, once it has ended
ask_qemu() {
	[[ -z $QEMU_STATUS ]] || return 0
	! jobs -pr | grep -qFx "$QEMU_PID" || return 0
	QEMU_STATUS=0
	wait_for "$QEMU_PID" || QEMU_STATUS=$?
}

# die_of_room: if that is why the guest ended, which it does by SIGBUS, or said nothing
die_of_room() {
	ask_qemu
	[[ $QEMU_STATUS != $((128 + 7)) ]] ||
		die "no room is left for $RAM_FILE, the guest's memory: make some, or give the guest less with MEM=."
	(($(free_in "$LOGS") >= 4096)) || die "no room is left in $LOGS, where the guest's console is kept: make some."
}

# was_killed: QEMU, by somebody; KILL_SENTENCE says so
was_killed() {
	ask_qemu
	((${QEMU_STATUS:-0} > 128)) || return
	KILL_SENTENCE="QEMU was killed by SIG$(kill -l "$QEMU_STATUS"), and the guest with it: it may have been the kernel,"
	KILL_SENTENCE+=" for want of memory (see dmesg)."
}

# remember_terminal: as it is now; the end sets it back.
remember_terminal() {
	TERMINAL=$(stty -g)
}

# gdb on the kernel's symbols, with the kernel's own lx- commands, until it ends: for a person, or with commands from
# standard input.
open_gdb() {
	local command=(gdb -q)
	cd "$ROOT"
	# connect.py loads them, and what is said here of loading by gdb goes for vmlinux
	command+=(-iex "python loaded_by_gdb = gdb.parameter('auto-load python-scripts')")
	command+=(-iex "set auto-load python-scripts off")
	command+=("${KEEP_INDEX[@]}")
	command+=(-ex "set pagination off" -ex "set confirm off" -ex "source gdb/connect.py" "$KDIR/obj/vmlinux")
	export LAB_SOCKET=$GDB_SOCKET LAB_STARTED=$RUN/started LAB_QEMU_PID=$QEMU_PID
	local status=0
	if [[ -t 0 ]]; then
		await_at_terminal "${command[@]}" || status=$?
	else
		child "${command[@]}"
		wait_for "$CHILD" || status=$?
	fi
	die_of_room
	! was_killed || note "$KILL_SENTENCE"
	[[ -e $LAB_STARTED ]] ||
		die "gdb did not load the lab: see above${PYTHONS[*]:+; it may be because of ${PYTHONS[*]}, which is set}."
	return "$status"
}

# await_at_terminal COMMAND...: in its foreground, see foreground.sh
await_at_terminal() {
	# The terminal may go away while gdb waits for the guest and this script for gdb: then nobody is told reliably.
	# shellcheck disable=SC2016 # for that bash
	child bash -c 'while sleep 1; do [[ -t 0 ]] || kill "$PPID"; done' >/dev/null 2>&1
	remember_terminal
	BOUND_BY=TERM child "$ROOT/scripts/foreground.sh" "$@"
	wait_for "$CHILD"
}
