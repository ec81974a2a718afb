#!/usr/bin/env bash
# Boot the guest and give its shell on this terminal: `make boot`.
#
# Ctrl-C goes to the guest. Leave the guest's shell, or type Ctrl-A X, to end it. Without a terminal the guest runs what
# comes from standard input, as a shell script (or PROGRAM), and ends; a terminal for its output is then not the guest's.
set -euo pipefail

# shellcheck source=scripts/guest.sh
. "$(dirname "$0")/guest.sh"

then=shell
if [[ ! -t 0 ]]; then
	then=reboot
	if [[ -z $PROGRAM ]]; then
		script=$(mktemp) # end_guest removes it
		trap 'rm -f -- "$script"' EXIT
		{ echo "#!/bin/sh" && cat; } >"$script"
		PROGRAM=$script
	fi
fi
prepare_guest "$then" -serial chardev:console \
	-chardev "stdio,id=console,mux=on,signal=off,logfile=$LOGS/console.log" \
	-mon "chardev=console,mode=readline"
if [[ -n $GDB_TCP ]]; then # without it there is no stub
	launch_relay
	QEMU+=("${STUB_OPTION[@]}")
fi
if [[ -t 0 || ! -t 1 ]]; then
	setpriv --pdeathsig TERM "${QEMU[@]}" 8<&-
else
	setpriv --pdeathsig TERM "${QEMU[@]}" 8<&- | printable
fi
