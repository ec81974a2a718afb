#!/usr/bin/env bash
# Open gdb on a recording of `make record`, at its start: `make replay`.
#
# RECORDING names its folder, which is only read: checkpoints made meanwhile go to a copy of its disk. Without a terminal
# gdb takes its commands from standard input, as with `make debug`.
set -euo pipefail

# shellcheck source=scripts/guest.sh
. "$(dirname "$0")/guest.sh"

# The recording says what the guest is.
[[ -z $PROGRAM$ARGS ]] || die "a recording has its own program: leave PROGRAM and ARGS unset, or type make record."
[[ -z ${GIVEN:-} ]] || die "a recording has its own memory and processor: leave ${GIVEN// / and } unset, or type make record."
MEM=256M SMP=1 ACCEL=tcg PROGRAM='' ARGS=''
check_settings
make_run_folder
disk=$LOGS/replay.qcow2
also_ours "$disk"
umask 077
recording_step check LAB_RECORDING="$RECORDING" LAB_OPENED="$RUN/opened" LAB_DISK="$disk" || exit 1
{ read -r MEM && read -r WORDS; } <"$RUN/opened"
check_settings
make_room
cp -- "$RECORDING/moments.json" "$RUN/moments.json"
set_machine replay "$RECORDING/log" "$disk" "$RECORDING/initramfs.cpio" "$KDIR/vmlinux.pvh" "$MEMORY/ram" "$MEM" "$WORDS"
QEMU=("${MACHINE[@]}" -no-shutdown -S -serial "file:$LOGS/console.log")
launch_guest
LAB_MOMENTS=$RUN/moments.json open_gdb
