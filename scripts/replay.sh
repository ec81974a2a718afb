#!/usr/bin/env bash
# Usage: scripts/replay.sh
#
# Opens gdb at the start of a recording made by `make record`: `make replay`. RECORDING names its folder, which is only
# read: new checkpoints go to a copy of its disk. PORT and GDB_TCP are as `make help` says. Without a terminal, gdb
# takes its commands from standard input, as in `make debug`.
# shellcheck source-path=SCRIPTDIR source=guest.sh
. "$(dirname "$0")/guest.sh"

# The recording determines the guest.
[[ -z $PROGRAM$ARGS ]] ||
	die "a recording has its own program: leave PROGRAM and ARGS unset, or type $(make_command record)."
[[ -z ${GIVEN:-} ]] ||
	die "a recording has its own memory and processor: leave ${GIVEN// / and } unset, or type $(make_command record)."
MEM=256M SMP=1 ACCEL=tcg PROGRAM='' ARGS=''
check_settings
start_lab
RR_DISK=$LOGS/replay.qcow2
also_ours "$RR_DISK"
umask 077
recording_step check LAB_RECORDING="$RECORDING" LAB_OPENED="$RUN/opened" LAB_DISK="$RR_DISK" || exit 1
{ read -r MEM && read -r WORDS; } <"$RUN/opened"
check_settings
make_room
cp -- "$RECORDING/moments.json" "$RUN/moments.json"
RR_LOG=$RECORDING/log INITRAMFS=$RECORDING/initramfs.cpio
compose_qemu replay
launch_guest
LAB_MOMENTS=$RUN/moments.json open_gdb
