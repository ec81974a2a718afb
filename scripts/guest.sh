# shellcheck shell=bash
# How a guest is started and ended. Sourced by boot.sh, debug.sh, verify.sh, record.sh and replay.sh, which call, in
# this order:
#
#   check_settings        are the settings valid? (machine.sh)
#   start_lab             makes the lab's folder, and sets the trap that removes it
#   prepare_machine THEN  room for the guest's memory, its image and kernel command line (machine.sh)
#   compose_qemu MODE     QEMU's command line, as the array QEMU (machine.sh)
#   launch_guest          starts QEMU, paused, and lets gdb connect
#   open_gdb              gdb at a terminal; verify.sh and record.sh run gdb in batch mode instead
#
# Start processes with child() or await() only, so that they end with the script.

# shellcheck source=lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=machine.sh
. "$ROOT/scripts/machine.sh"

QEMU_PID='' QEMU_STATUS=''

KEPT+=(ENDED ERRORS) # and FOLDER, which only QEMU inherits
ENDED=''  # a pipe: a line in it tells writer.py that the lab has ended
ERRORS='' # the original standard error

# start_lab: make the lab's folder, empty, and trap the end of the script to remove it
start_lab() {
	trap 'exit 130' INT
	trap 'exit 143' TERM
	trap 'exit 129' HUP
	make_run_folder
	trap end_guest EXIT # the folder is ours from here on, and so is removing it
	discard "$FOLDER"
	{ mkdir -p -- "$LOGS" "$BUILD/share" && rm -f -- "$LOGS/console.log" && : >"$LOGS/qemu.log"; } 2>/dev/null ||
		die "$LOGS cannot be written to: make it writable, or work in a clone of your own."
	{ echo >"$LOGS/qemu.log" && echo >"$RUN/also"; } 2>/dev/null ||
		die "there is no room left in $LOGS or in $RUN: make some."
	: >"$RUN/also"
	mind_output
	! leads_session || mind_terminal
}

# leads_session: is this script in the process group of its session's leader? Then no shell with job control is in
# between. If the leader is make (ssh -t, tmux, a window with a command), a terminal that is closed sends SIGHUP to make
# alone, which waits for this script. What nohup started goes on.
leads_session() {
	local group session
	read -r _ _ _ _ group session _ <"/proc/$$/stat"
	[[ $group == "$session" && $(trap -p HUP) != "trap -- '' "* ]] && : 2>/dev/null </dev/tty
}

# mind_terminal: end this script when the terminal goes away, which SIGHUP may not tell it: a child looks for it
mind_terminal() {
	# shellcheck disable=SC2016 # expanded by that bash
	child bash -c 'while sleep 1; do : </dev/tty || kill "$PPID"; done' >/dev/null 2>&1
}

# mind_output: send output to a file or pipe through writer.py, which notices failed writes: gdb and QEMU do not. Errors
# take the same way if they go to the same place, which keeps the order.
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

# output_is_written STATUS: wait until all output is written, however slow the reader. A lab that ended by a signal does
# not wait.
output_is_written() {
	[[ -n ${WRITER:-} ]] || return 0
	exec 1>&"$ERRORS" 2>&"$ERRORS"
	echo >&"$ENDED" # programs started from gdb may live on and hold the pipe open
	(($1 <= 128)) || return 0
	trap - INT TERM HUP
	local status=0
	wait "$WRITER" || status=$?
	# 141, SIGPIPE: the reader closed the pipe, so it wants no error either
	[[ $status == 0 || $status == 141 ]] ||
		echo "error: not all that was said could be written to standard output: make room there." >&2
	return "$status"
}

# program_status FILE: the exit status of the program, from the console log FILE; empty if the guest ended first. The
# program may print such a line itself: the last one is the one from /init.
program_status() {
	LC_ALL=C sed -n 's/\r$//; s/.*lab: [^ ]* exited with \([0-9]\{1,3\}\)$/\1/p' "$1" | tail -n 1
}

# how_it_ended LOG: how the guest's program ended, as half a sentence, from the console log LOG
how_it_ended() {
	local status panic
	status=$(program_status "$1")
	panic=$(LC_ALL=C sed -n 's/\r$//; /.*Kernel panic - not syncing: /{s///p;q}' "$1" | printable)
	if [[ -n $status ]]; then
		echo "the guest's program ended with $status"
	elif [[ -n $panic ]]; then
		echo "the kernel panicked ($panic) before the guest's program had ended"
	else
		echo "the guest ended before its program"
	fi
}

# stub_listens: does QEMU listen on the stub's socket? Read from /proc/net/unix, since connecting would stop the guest.
stub_listens() {
	[[ $(grep -F -- " $STUB" /proc/net/unix) == *" 00010000 "* ]] # __SO_ACCEPTCON
}

# launch_relay: let gdb connect, through a socket in the lab's folder and through port GDB_TCP if that is given
launch_relay() {
	local answer='' out pipe KEPT=("${KEPT[@]}" pipe)
	mkfifo -- "$RUN/relay"
	exec {pipe}<>"$RUN/relay" # with both ends open, opening either one does not block
	child setsid /usr/bin/python3 -I "$ROOT/scripts/relay.py" \
		"$STUB" "$GDB_SOCKET" ${GDB_TCP:+"$GDB_TCP"} </dev/null >"$RUN/relay" 2>"$LOGS/relay.log"
	exec {out}<"$RUN/relay" {pipe}<&-
	read -r answer <&"$out" || true
	exec {out}<&-
	[[ $answer == ready ]] || die "gdb cannot be let in${GDB_TCP:+ with GDB_TCP=$GDB_TCP}:" \
		"${answer:-$(tail -n 1 "$LOGS/relay.log")}."
}

# launch_guest: run QEMU in the background, out of reach of the terminal's Ctrl-C, and wait for its stub
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

# gdb's index of vmlinux is kept beside it: without one, the first look at a type takes 4 s, 20 times as long. Files
# loaded later, which may be any program's, are not indexed.
KEEP_INDEX=()
if [[ -w $KDIR/obj ]]; then
	KEEP_INDEX=(-iex "set index-cache directory $KDIR/obj/gdb-index" -iex "set index-cache enabled on")
	KEEP_INDEX+=(-ex "set index-cache enabled off")
fi
readonly KEEP_INDEX

# gdb in batch mode, which ignores the user's own settings for gdb and Python, and Ctrl-C: the script ends it.
SET_PYTHON=("${!PYTHON@}") # a name that begins with PYTHON would be among them
# shellcheck disable=SC2034 # used by the scripts that source this file
BATCH_GDB=(env --block-signal=INT "${SET_PYTHON[@]/#/--unset=}" PYTHONNOUSERSITE=1
	gdb -nx -q -batch -iex "set auto-load no"
	"${KEEP_INDEX[@]}")

# end_guest: kill what was started, then remove the folder, however the script ends
end_guest() {
	local status=$? running
	trap '' INT TERM HUP
	mapfile -t running < <(jobs -pr) # not waited for yet, so no other process can have these PIDs
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

# child COMMAND...: start a process in the background that ends with this script; CHILD is its PID. With HOLDS_LOCK=1 it
# inherits the folder's lock, so that the lab counts as running as long as it does.
child() {
	become "$@" <&0 &
	CHILD=$!
}

# become COMMAND...: what the process forked by child() runs. The descriptors are closed here, after the fork: a
# redirection at the call would also close them for end_guest(), should that run in the meantime.
become() {
	close "${KEPT[@]}"
	[[ -n ${HOLDS_LOCK:-} ]] || close FOLDER
	bound "$@"
}

# wait_for CHILD: wait for a child and return its status. A signal to this script interrupts the wait at once, which it
# would not for a process in the foreground. What bash prints about a killed process is dropped.
wait_for() {
	local status=0
	# No `return` inside the group: leaving the script there would keep our standard error open, and its reader waiting
	{ wait "$1" || status=$?; } 2>/dev/null
	return "$status"
}

# await COMMAND...: run a child to its end and return its status
await() {
	child "$@"
	wait_for "$CHILD"
}

# child_within SECONDS COMMAND...: like child(), but killed when the time is over; see is_over
child_within() {
	STARTED=$SECONDS SECONDS_GIVEN=$1
	# shellcheck disable=SC2016 # expanded by the bash in between, which checks that its parent lives, as bound() does
	child timeout --foreground --signal=KILL "$1" setpriv --pdeathsig KILL \
		bash -c '[[ $(<"/proc/$PPID/comm") == timeout ]] && exec "$@"' bash "${@:2}"
}

# is_over STATUS: was the last child_within() killed because its time was over?
is_over() {
	[[ $1 == 137 ]] && ((SECONDS - STARTED >= SECONDS_GIVEN))
}

# ask_qemu: set QEMU_STATUS if QEMU has ended
ask_qemu() {
	[[ -z $QEMU_STATUS ]] || return 0
	! jobs -pr | grep -qFx "$QEMU_PID" || return 0
	QEMU_STATUS=0
	wait_for "$QEMU_PID" || QEMU_STATUS=$?
}

# die_of_room: die if the guest ended for lack of room: QEMU got SIGBUS, or its log could not be written
die_of_room() {
	ask_qemu
	[[ $QEMU_STATUS != $((128 + 7)) ]] ||
		die "no room is left for $RAM_FILE, the guest's memory: make some, or give the guest less with MEM=."
	(($(free_in "$LOGS") >= 4096)) || die "no room is left in $LOGS, where the guest's console is kept: make some."
}

# was_killed: was QEMU killed by a signal? If so, KILL_SENTENCE says which.
was_killed() {
	ask_qemu
	((${QEMU_STATUS:-0} > 128)) || return
	KILL_SENTENCE="QEMU was killed by SIG$(kill -l "$QEMU_STATUS"), and the guest with it: "
	if [[ $QEMU_STATUS == 137 ]]; then
		KILL_SENTENCE+="it may have been the kernel, for want of memory (see dmesg)."
	else
		KILL_SENTENCE+="see $LOGS/qemu.log."
	fi
}

# tell_of_loss: after gdb has ended, say why QEMU had ended before, unless the guest did by itself; die if that was not
# the person's own doing. connect.py, which only sees that QEMU is gone, has promised it.
tell_of_loss() {
	local last
	die_of_room
	! was_killed || die "$KILL_SENTENCE"
	[[ -n $QEMU_STATUS ]] || return 0
	last=$(tail -n 1 "$LOGS/qemu.log" | printable)
	case $last in
	*"Terminated via GDBstub"*) note "QEMU was told to end by gdb, and the guest with it." ;;
	*"terminating on signal"*) die "QEMU was told to end, and the guest with it: $last" ;;
	*)
		[[ $QEMU_STATUS == 0 ]] || die "QEMU failed, and the guest with it: ${last:-see $LOGS/qemu.log.}"
		[[ ! -e $LAB_LOST ]] || note "QEMU was told to end by its monitor, and the guest with it."
		;;
	esac
}

# remember_terminal: save the terminal's settings; end_guest restores them
remember_terminal() {
	TERMINAL=$(stty -g)
}

# open_gdb: run gdb with the kernel's symbols and the kernel's own lx- commands until it ends, at a terminal or with
# commands from standard input
open_gdb() {
	# A Ctrl-C while gdb starts would leave half a lab, and some of Python: connect.py answers it
	local command=(env --block-signal=INT gdb -q)
	cd "$ROOT"
	# The lx- commands are loaded by connect.py, so gdb must not load them with vmlinux; it remembers the user's setting
	command+=(-iex "python loaded_by_gdb = gdb.parameter('auto-load python-scripts')")
	command+=(-iex "set auto-load python-scripts off")
	command+=("${KEEP_INDEX[@]}")
	command+=(-ex "set pagination off" -ex "set confirm off" -ex "source gdb/connect.py" "$KDIR/obj/vmlinux")
	export LAB_SOCKET=$GDB_SOCKET LAB_STARTED=$RUN/started LAB_LOST=$RUN/lost LAB_QEMU_PID=$QEMU_PID
	local status=0
	if [[ -t 0 ]]; then
		await_at_terminal "${command[@]}" || status=$?
	else
		child "${command[@]}"
		wait_for "$CHILD" || status=$?
	fi
	tell_of_loss
	[[ -e $LAB_STARTED || $status == 130 ]] ||
		die "gdb did not load the lab:" \
			"see above${SET_PYTHON[*]:+; it may be because of ${SET_PYTHON[*]}, which is set}."
	return "$status"
}

# await_at_terminal COMMAND...: await it in the terminal's foreground, see foreground.sh
await_at_terminal() {
	leads_session || mind_terminal # SIGHUP goes to the foreground, which is gdb
	remember_terminal
	BOUND_BY=TERM child "$ROOT/scripts/foreground.sh" "$@"
	wait_for "$CHILD"
}
