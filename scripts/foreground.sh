#!/usr/bin/env bash
# Usage: scripts/foreground.sh COMMAND...
#
# Runs COMMAND in the foreground of the terminal that is standard input, in a process group of its own: Ctrl-C is for it
# alone and does not tell make to give up. Told by TERM that the lab has ended, this ends, COMMAND with it, and the
# terminal is as it was.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

# Which terminal goes with a process group bash takes from its standard error.
exec {errors}>&2 2>&0
set -m
terminal=$(stty -g)

# COMMAND first: told that the guest is gone, gdb sets the terminal for its prompt once more.
finish() {
	local running
	trap '' INT TERM HUP
	mapfile -t running < <(jobs -p)
	((!${#running[@]})) || kill -KILL -- "${running[@]/#/-}" 2>/dev/null || true
	while ((${#running[@]})) && kill -0 -- "-${running[0]}" 2>/dev/null; do sleep 0.01; done
	restore_terminal "$terminal"
}
trap finish EXIT
(bound "$@" 2>&"$errors" {errors}>&-)
