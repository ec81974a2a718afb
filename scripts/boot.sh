#!/usr/bin/env bash
# Boot the guest and give its shell on this terminal: `make boot`.
#
# Ctrl-C goes to the guest. Leave the guest's shell, or type Ctrl-A X, to end it. Without a terminal the guest runs what
# comes from standard input, as a shell script (or PROGRAM), and ends; a terminal for its output is then not the guest's.
set -euo pipefail

# shellcheck source=scripts/guest.sh
. "$(dirname "$0")/guest.sh"

then=shell
check_settings
make_run_folder
if [[ ! -t 0 ]]; then
	then=reboot
	if [[ -z $PROGRAM ]]; then
		{ echo "#!/bin/sh" && cat; } >"$RUN/script" ||
			die "there is no room in $shm for the commands from standard input: make some."
		PROGRAM=$RUN/script
	fi
else
	TERMINAL=$(stty -g)
	BOUND_BY=TERM # then QEMU leaves the terminal as it was
fi
prepare_guest "$then" -serial chardev:console \
	-chardev "stdio,id=console,mux=on,signal=off,logfile=${LOGS//,/,,}/console.log" \
	-mon "chardev=console,mode=readline"
if [[ -n $GDB_TCP ]]; then # without it there is no stub
	launch_relay
	QEMU+=("${STUB_OPTION[@]}")
fi
if [[ -t 0 || ! -t 1 ]]; then
	HOLDS_LOCK=1 await "${QEMU[@]}"
else
	exec 6> >(printable)
	console=$!
	HOLDS_LOCK=1 await "${QEMU[@]}" >&6 6>&-
	exec 6>&-
	wait "$console" || true
fi
