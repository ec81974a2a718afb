#!/usr/bin/env bash
# Boot the guest paused and open gdb on it: `make debug`.
#
# Without a terminal, gdb takes its commands from standard input, and the guest
# ends after its program, since nobody could type in its shell.
set -euo pipefail

# shellcheck source=scripts/guest.sh
. "$(dirname "$0")/guest.sh"

then=reboot
[[ ! -t 0 ]] || then=shell
prepare_guest "$then" -S -serial chardev:console \
	-chardev "socket,id=console,path=$RUN/console,server=on,wait=off,logfile=$LOGS/console.log"
launch_guest
cd "$ROOT"
if [[ -t 0 ]]; then
	# The terminal may go away while gdb waits for the guest and this script for gdb: then nobody is told reliably.
	exec 7<&0
	while sleep 1 && kill -0 $$ 2>/dev/null; do
		[[ -t 7 ]] || kill "$QEMU_PID"
	done 8<&- 2>/dev/null &
	# gdb gets a process group of its own: Ctrl-C stops the guest, and does not tell make to give up.
	set -m
fi
LAB_PORT=$PORT run_gdb -ex "source gdb/connect.py"
