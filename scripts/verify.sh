#!/usr/bin/env bash
# Usage: scripts/verify.sh
#
# The lab's check, unattended: `make verify`. Boots the guest, checks every hit of its program, prints the reports.
# Succeeds only if there was a hit, every check of every hit passed, and the program ended with status 0. JSON=FILE
# names a file for the result, LIMIT the seconds the run may take; PROGRAM, ARGS, ACCEL, SMP, MEM, PORT and GDB_TCP are
# as `make help` says.
# shellcheck source-path=SCRIPTDIR source=guest.sh
. "$(dirname "$0")/guest.sh"

given=${JSON:-} JSON=''
check_limit
file=${given:+$(realpath -m -- "$given")}
# Refused now and not after the run; opening a pipe would even wait for a reader, for ever.
if [[ $given == */ || -d $file || -p $file || -S $file || (-n $file && ! -e $file && ! -w ${file%/*}/) ]]; then
	die "JSON=$given cannot be written: give the name of a file, in a folder that is there and yours."
fi
# The result of an earlier run must not be mistaken for this one's.
[[ ! -f $file ]] || rm -- "$file"
check_settings
start_lab
prepare_machine reboot
compose_qemu verify
launch_guest
cd "$ROOT"
export LAB_SOCKET=$GDB_SOCKET LAB_JSON=$file LAB_CONSOLE=$LOGS/console.log
child_within "$LIMIT" "${BATCH_GDB[@]}" -x gdb/verify.py "$KDIR/obj/vmlinux" </dev/null
status=0
wait_for "$CHILD" || status=$?
! is_over "$status" || die "the guest did not end within $LIMIT s: see $LOGS/console.log, or give more with LIMIT=."
ended=$(program_status "$LOGS/console.log")
if [[ $ended != 0 ]]; then
	die_of_room
	! was_killed || die "$KILL_SENTENCE"
	[[ -s $LOGS/console.log ]] || die "gdb ended before the guest had started: see above, and $LOGS/qemu.log."
	tail -c 4096 "$LOGS/console.log" | tail -n 5 | printable >&2
	die "$(how_it_ended "$LOGS/console.log"): see $LOGS/console.log."
fi
exit "$status"
