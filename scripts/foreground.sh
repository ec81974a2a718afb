#!/usr/bin/env bash
# Usage: scripts/foreground.sh COMMAND...
#
# Runs COMMAND in the foreground of the terminal on standard input, in a process group of its own, so that Ctrl-C
# reaches it alone and does not make `make` give up. On SIGTERM, which says that the lab has ended, kills COMMAND,
# restores the terminal and ends.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

# bash takes the terminal for job control from its standard error.
exec {errors}>&2 2>&0
set -m
terminal=$(stty -g)

# finish: kill COMMAND before restoring the terminal: gdb sets it for its prompt once more when the guest is gone
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
