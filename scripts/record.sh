#!/usr/bin/env bash
# Usage: scripts/record.sh
#
# Runs the lab once without gdb and keeps a recording, which `make replay` opens: `make record`.
#
# The guest runs its program and ends. Then the recording is replayed once, to note its moments and to make checkpoints
# that make going back fast. RECORDING names its folder, LIMIT the seconds that each of these two runs may take. A
# recording gets its name only when it is complete; until then the previous one stays.
# shellcheck source-path=SCRIPTDIR source=guest.sh
. "$(dirname "$0")/guest.sh"

check_limit
[[ -z ${GIVEN:-} || $SMP == 1 ]] ||
	die "SMP=$SMP: QEMU can record one processor only: leave SMP unset."
[[ -z $GDB_TCP ]] || die "GDB_TCP=$GDB_TCP: nobody can be let in while a recording is made: leave GDB_TCP unset."
[[ $ACCEL == tcg ]] || die "ACCEL=$ACCEL: QEMU can record only the processor it emulates: leave ACCEL unset."
[[ ! -e $RECORDING || -f $RECORDING/manifest.json ]] ||
	die "RECORDING=$RECORDING is there and is no recording: name another folder."
if [[ -e $RECORDING ]]; then
	other=$(find "$RECORDING" -mindepth 1 -maxdepth 1 ! -name manifest.json ! -name moments.json ! -name log \
		! -name disk.qcow2 ! -name initramfs.cpio ! -name console.log -printf '%f\n' -quit)
	[[ -z $other ]] ||
		die "RECORDING=$RECORDING also holds $other, which a new recording would remove: name another folder."
fi
SMP=1
check_settings
start_lab
prepare_machine reboot
mkdir -p -- "${RECORDING%/*}" 2>/dev/null || true
{ exec {parent}<"${RECORDING%/*}"; } 2>/dev/null ||
	die "${RECORDING%/*} is no folder that can be read: name another one with RECORDING=."
flock "$parent" # until our own folder is locked, another make record would take it for a left-over
for old in "$RECORDING".part.??????; do # if nobody holds its lock, its make record was killed
	[[ ! -d $old || ! -O $old ]] || ! flock --nonblock "$old" true || rm -rf -- "$old"
done
# Left by a make record that was killed while it replaced an older recording:
for old in "$RECORDING".part.??????.old; do
	[[ ! -d $old || ! -O $old ]] || if [[ -e $RECORDING ]]; then rm -rf -- "$old"; else mv -T -- "$old" "$RECORDING"; fi
done
part=$(mktemp -u -- "$RECORDING.part.XXXXXX")
also_ours "$part"
mkdir -- "$part" 2>/dev/null || die "nothing can be made in ${RECORDING%/*}: name another folder with RECORDING=."
exec {part_lock}<"$part"
flock "$part_lock"
exec {parent}<&-

# die_of_any_room: die if there is no room left, here or for the recording
die_of_any_room() {
	die_of_room
	(($(free_in "$part") >= 4096)) ||
		die "no room is left in ${RECORDING%/*}: make some, or name another folder with RECORDING=."
}
await cp -- "$INITRAMFS" "$part/initramfs.cpio" || die_of_any_room
await qemu-img create -q -f qcow2 "$part/disk.qcow2" 1M
INITRAMFS=$part/initramfs.cpio RR_LOG=$part/log RR_DISK=$part/disk.qcow2

note "recording Linux $(kernel_name) with one processor and without the host's share, as QEMU needs it"
compose_qemu record
status=0
exec {shown}> >(close part_lock && printable)
console=$!
KEPT+=(shown)
HOLDS_LOCK=1 child_within "$LIMIT" "${QEMU[@]}" </dev/null 1>&"$shown" 2>"$LOGS/qemu.log"
exec {shown}>&-
shown=''
wait_for "$CHILD" || status=$?
wait "$console" || true # show all of the console before the lines below
! is_over "$status" || die "the guest did not end within $LIMIT s: give it more with LIMIT=, or a PROGRAM that ends."
[[ $status == 0 ]] || die_of_any_room
[[ $status == 0 ]] || die "QEMU failed: $(tail -n 1 "$LOGS/qemu.log" | printable)"
ended=$(program_status "$part/console.log")

note "indexing: replaying it once, with checkpoints"
compose_qemu index
launch_guest
status=0
cd "$ROOT"
export LAB_SOCKET=$GDB_SOCKET
LAB_RECORDING=$part child_within "$LIMIT" "${BATCH_GDB[@]}" -x gdb/index.py "$KDIR/obj/vmlinux" </dev/null
wait_for "$CHILD" || status=$?
! is_over "$status" || die "indexing did not end within $LIMIT s: give it more with LIMIT=."
[[ $status == 0 ]] || die_of_any_room
[[ $status == 0 ]] || ! was_killed || die "$KILL_SENTENCE"
[[ $status == 0 ]] || die "there is no recording without its moments: see above, and $LOGS/qemu.log."
wait_for "$QEMU_PID" || die "QEMU failed: $(tail -n 1 "$LOGS/qemu.log" | printable)"
recording_step seal LAB_RECORDING="$part" LAB_MEM="$MEM" LAB_WORDS="$WORDS" LAB_KERNEL="$(kernel_name)" \
	LAB_RELEASE="$(cat "$KDIR/obj/include/config/kernel.release")" LAB_PROGRAM="${PROGRAM:-demo}" \
	LAB_ENDED="$ended" || status=$?
[[ $status == 0 ]] || die_of_any_room
[[ $status == 0 ]] || exit "$status"
exec {parent}<"${RECORDING%/*}"
flock "$parent"      # or another make record would take the .old folder for a left-over
trap '' INT TERM HUP # being interrupted between the two moves would leave no recording
[[ ! -e $RECORDING ]] || mv -T -- "$RECORDING" "$part.old"
mv -T -- "$part" "$RECORDING"
also_ours "$part.old" # not before: a lab killed between the moves would then have both removed
size=$(du -sh -- "$RECORDING" | cut -f 1)
note "recorded in $RECORDING ($size); the program ended with ${ended:-nothing, the guest before it}:" \
	"type $(make_command replay)"
