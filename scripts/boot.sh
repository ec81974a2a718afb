#!/usr/bin/env bash
# Usage: scripts/boot.sh
#
# Boots the guest and gives its shell on this terminal: `make boot`. PROGRAM, ARGS, ACCEL, SMP, MEM, PORT and GDB_TCP
# are as `make help` says.
#
# Ctrl-C goes to the guest. Leave the guest's shell, or type Ctrl-A X, to end it. If standard input is not a terminal,
# the guest runs it as a shell script (or runs PROGRAM) and ends; its output is then made printable for the terminal,
# and it succeeds only if the script or program ended with status 0.
# shellcheck source-path=SCRIPTDIR source=guest.sh
. "$(dirname "$0")/guest.sh"

then=shell
check_settings
start_lab
if [[ ! -t 0 ]]; then
	then=reboot
	if [[ -z $PROGRAM ]]; then
		{ echo "#!/bin/sh" && cat; } >"$RUN/script" ||
			die "there is no room in $shm for the commands from standard input: make some."
		PROGRAM=$RUN/script
	fi
else
	remember_terminal
	BOUND_BY=TERM # so that QEMU restores the terminal
fi
prepare_machine "$then"
compose_qemu boot
[[ -z $GDB_TCP ]] || launch_relay # QEMU has no stub unless GDB_TCP is given
if [[ -t 0 || ! -t 1 ]]; then
	HOLDS_LOCK=1 await "${QEMU[@]}"
else
	exec {shown}> >(printable)
	console=$!
	KEPT+=(shown)
	HOLDS_LOCK=1 await "${QEMU[@]}" 1>&"$shown"
	exec {shown}>&-
	wait "$console" || true
fi
[[ ! -t 0 ]] || exit 0
if [[ $(program_status "$LOGS/console.log") != 0 ]]; then
	die_of_room
	die "$(how_it_ended "$LOGS/console.log"): see $LOGS/console.log."
fi
