#!/usr/bin/env bash
# Usage: scripts/console.sh
#
# Attaches this terminal to the guest of the `make debug` that runs with this PORT: `make console`.
# shellcheck source-path=SCRIPTDIR source=guest.sh
. "$(dirname "$0")/guest.sh"

[[ -S $RUN/console ]] ||
	die "no lab with PORT=$PORT runs: type make debug in another terminal, or give its PORT."
# From gdb's own `make` command, the console would take gdb's terminal while the guest is stopped.
[[ ${LAB_SOCKET:-} != "$GDB_SOCKET" ]] ||
	die "gdb has this terminal, and the guest stands still while it asks for a command: type make console in" \
		"another one."
# A second console would hang: QEMU accepts it only when the first has left.
exec {LOCK}>>"$RUN/console.lock"
flock --nonblock "$LOCK" ||
	die "the console of the lab with PORT=$PORT is open in another terminal: leave it there with Ctrl-]."
echo "The guest's console; Ctrl-] leaves it. What it said so far is in ${LOGS#"$ROOT/"}/console.log."
exec socat "STDIO,raw,echo=0,escape=0x1d" "UNIX-CONNECT:$RUN/console"
