# shellcheck shell=bash
# Start and end a guest. Shared by boot.sh, debug.sh, verify.sh, record.sh and replay.sh,
# which source it: `. "$(dirname "$0")/guest.sh"`.
#
# From the environment: PORT, SMP, MEM, ACCEL, PROGRAM, ARGS, GDB_TCP (see `make help`).

# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

PORT=${PORT:-1234} SMP=${SMP:-2} MEM=${MEM:-256M} ACCEL=${ACCEL:-tcg}
PROGRAM=${PROGRAM:-} ARGS=${ARGS:-} GDB_TCP=${GDB_TCP:-}
[[ $PROGRAM != -* ]] || PROGRAM=./$PROGRAM # a name, no option
KDIR=$(kernel_dir)
LOGS=$BUILD/run/$PORT
QEMU_PID=''

# The RAM file and the sockets: private to the user, in memory, with a short name,
# since the name of a unix socket holds 107 bytes at most.
shm=/dev/shm
[[ -d $shm && -w $shm ]] || shm=$(realpath -m -- "${TMPDIR:-/tmp}")
RUN=$shm/seginfo-lab-$(id -u)-$PORT
STUB=$RUN/stub GDB_SOCKET=$RUN/gdb # QEMU's, and where gdb is let to it: see relay.py

# What all QEMUs of the lab have, those of the tests as well: no device, window or file that was not asked for, and with it
# no way to start a program, to become somebody else or to take more of the processor, whoever gets hold of QEMU.
#
# Without vapic=off there is a device that only Windows uses, whose reset waits for the processor's thread, while that may
# wait for the lock of replay: QEMU 7.2 then hangs when a checkpoint is loaded.
QEMU_BASE=(
	qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot
	-sandbox "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
	-global apic-common.vapic=off
)
STUB_OPTION=(-gdb "unix:${STUB//,/,,},server=on,wait=off")

check_settings() {
	[[ $PORT =~ ^[1-9][0-9]{0,4}$ && $PORT -le 65535 ]] ||
		die "PORT=$PORT is no number of a lab: give 1 to 65535."
	[[ -z $GDB_TCP || ($GDB_TCP =~ ^[1-9][0-9]{0,4}$ && $GDB_TCP -le 65535) ]] ||
		die "GDB_TCP=$GDB_TCP is no port: give a number from 1 to 65535, or leave it unset."
	[[ $SMP =~ ^[1-8]$ ]] || die "SMP=$SMP is no number of processors: give 1 to 8."
	[[ $MEM =~ ^[1-9][0-9]{0,4}[MG]$ ]] || die "MEM=$MEM is no size: give for example MEM=256M or MEM=2G."
	MIB=${MEM%?}
	[[ $MEM == *M ]] || MIB=$((MIB * 1024))
	[[ $MIB -ge 64 && $MIB -le 3072 ]] ||
		die "MEM=$MEM is out of range: give 64M to 3G, which all lies below the PCI hole."
	[[ $ACCEL == tcg || $ACCEL == kvm ]] || die "ACCEL=$ACCEL is unknown: give tcg or kvm."
	[[ -f $KDIR/vmlinux.pvh && -f $BUILD/initramfs.cpio ]] ||
		die "the kernel or the initramfs is not built: type make kernel image."
	if [[ -n $PROGRAM && ! -f $PROGRAM ]]; then
		die "PROGRAM=$PROGRAM is not a file: give the path of a static program."
	fi
	[[ $ARGS =~ ^[^[:space:]\"]*$ ]] ||
		die "ARGS=$ARGS has a space or a quote: give the arguments separated by commas."
}

# Does the guest run at all under KVM? A /dev/kvm that opens may still never run
# an instruction, so boot the kernel without an initramfs and wait for its banner.
check_kvm() {
	[[ -r /dev/kvm && -w /dev/kvm ]] ||
		die "ACCEL=kvm: /dev/kvm cannot be opened: join the group kvm, or leave ACCEL unset."
	local log=$RUN/probe.log
	HOLDS_LOCK=1 child_within 5 "${QEMU_BASE[@]}" -accel kvm -cpu host -machine microvm,acpi=off -m 128M \
		-kernel "$KDIR/vmlinux.pvh" -append "console=ttyS0 earlyprintk=ttyS0 reboot=t panic=-1" -serial "file:$log" \
		</dev/null >"$RUN/probe.err" 2>&1
	wait_for "$CHILD" || true
	grep -qs "Linux version" "$log" || die "ACCEL=kvm: the guest ran no instruction within 5 s" \
		"($(tail -n 1 "$RUN/probe.err" | cut -c 1-200 | printable)): leave ACCEL unset to emulate the processor."
}

# A folder for what lives as long as this lab. The lock says that it does: QEMU holds it, too. The folder of a lab that
# was killed goes with the next start of any other.
make_run_folder() {
	local tries status=1
	trap 'exit 130' INT
	trap 'exit 143' TERM
	trap 'exit 129' HUP
	sweep
	for ((tries = 0; status && tries < 100; tries++)); do # a sweep may be faster
		mkdir -m 700 -- "$RUN" 2>/dev/null || true
		status=0
		hold "$RUN" 1 || status=$? # what was killed just now is about to end, and so is a sweep
		((status != 2)) ||
			die "a lab with PORT=$PORT is running: give this one another number, for example PORT=$((PORT % 65535 + 1))."
	done
	((!status)) || die "$RUN cannot be made or is not a private folder of yours: give another PORT."
	exec 8<&7 7<&-
	trap end_guest EXIT # from here on the folder is ours to remove
	discard 8
	{ mkdir -p -- "$LOGS" "$BUILD/share" && rm -f -- "$LOGS/console.log" && : >"$LOGS/qemu.log"; } 2>/dev/null ||
		die "$LOGS cannot be written to: make it writable, or work in a clone of your own."
	{ echo >"$LOGS/qemu.log" && echo >"$RUN/also"; } 2>/dev/null ||
		die "there is no room left in $LOGS or in $RUN: make some."
	: >"$RUN/also"
	mind_output
}

# hold FOLDER SECONDS: open a lab's folder as descriptor 7, and wait so long for its lock. 0 if it is held; 2 if a lab
# has the lock; 1, and nothing is open, if there is no such folder of ours.
hold() {
	{ exec 7<"$1/."; } 2>/dev/null || return 1 # with the dot it is a folder, and no pipe to wait for
	local status=1
	if is_private "$1" 7; then
		if ! flock --timeout "$2" 7; then
			status=2
		elif is_private "$1" 7; then # or a sweep has removed it meanwhile
			return 0
		fi
	fi
	exec 7<&-
	return "$status"
}

# is_private FOLDER DESCRIPTOR: is what is open the folder of this name, no link to it, and of this user alone? Others may
# change where a name in $shm leads, between any two looks at it; but not what is open, nor the name of a folder of ours.
is_private() {
	local format='%d %i %u %a %F' open named
	open=$(LC_ALL=C stat -L -c "$format" "/proc/self/fd/$2") || return 1
	named=$(LC_ALL=C stat -c "$format" -- "$1" 2>/dev/null) || return 1
	[[ $open == "$named" && $open == *" $EUID 700 directory" ]]
}

# What goes to a file or a pipe goes by way of writer.py, which notices if it cannot be written: gdb and QEMU do not. Errors
# go the same way if they go to the same place, so that the order stays.
mind_output() {
	[[ ! -t 1 ]] || return 0
	mkfifo -- "$RUN/end"
	exec 4<>"$RUN/end" 5>&2
	if [[ /dev/stdout -ef /dev/stderr ]]; then
		exec > >(exec /usr/bin/python3 -IS "$ROOT/scripts/writer.py" 2>/dev/null 5>&- 8<&-) 2>&1
	else
		exec > >(exec /usr/bin/python3 -IS "$ROOT/scripts/writer.py" 2>/dev/null 5>&- 8<&-)
	fi
	WRITER=$!
}

# output_is_written STATUS: to the end, which a reader may take its time for; only a lab that was told to end does not wait.
output_is_written() {
	[[ -n ${WRITER:-} ]] || return 0
	exec >&5 2>&5
	echo >&4 # what gdb has started may live on, and could write more
	(($1 <= 128)) || return 0
	trap - INT TERM HUP
	local status=0
	wait "$WRITER" || status=$?
	# 141: the reader wanted no more, and knows that
	[[ $status == 0 || $status == 141 ]] ||
		echo "error: not all that was said could be written to standard output: make room there." >&2
	return "$status"
}

# also_ours PATH...: to be removed with the folder. Said before it is made, so that nobody is killed in between; but for what
# was somebody's before, which is said when it is ours to remove (record.sh).
also_ours() {
	printf '%s\0' "$@" >>"$RUN/also" || die "$RUN cannot be written to: make room in $shm."
}

# discard DESCRIPTOR: the lab's folder that is held there is emptied, and what else was the lab's is removed. What cannot
# be removed is no reason not to start or to end a lab.
discard() {
	local folder=/proc/self/fd/$1 also=/proc/self/fd/$1/also path
	if [[ -f $also && ! -L $also && -O $also ]]; then
		while IFS= read -r -d '' path; do
			rm -rf -- "$path" 2>/dev/null || note "${path@Q}, which a lab has left, cannot be removed: remove it by hand."
		done <"$also"
	fi
	find "$folder/" -mindepth 1 -delete 2>/dev/null ||
		note "what a lab has left in $(readlink -- "$folder") cannot be removed: remove it by hand."
}

# Remove what labs that were killed have left: the folders of this user's whose lock is free.
sweep() {
	local folder
	for folder in {"$shm","${TMPDIR:-/tmp}"}/seginfo-lab-"$(id -u)"-*; do
		hold "$folder" 0 || continue
		discard 7
		rmdir -- "$folder" 2>/dev/null || true # it is empty, or it stays
		exec 7<&-
	done
}

# free_in FOLDER: the bytes that are free there.
free_in() {
	df --output=avail --block-size=1 -- "$1" | tail -n 1
}

# room_in FOLDER: the bytes that are free there, less those of RAM files that running labs of this user have not touched yet.
room_in() {
	local untouched
	untouched=$({ find "$shm"/seginfo-lab-"$(id -u)"-* "$BUILD"/run/*/memory -maxdepth 1 ! -user "$(id -u)" -prune -o \
		-type f -name ram -printf '%D %s %b\n' 2>/dev/null || true; } |
		awk -v device="$(stat -c %d -- "$1")" '$1 == device { sum += $2 - 512 * $3 } END { printf "%.0f", sum }')
	echo $(($(free_in "$1") - untouched))
}

# Where the guest's memory and what is as large goes: MEMORY, in memory itself or on the disk. Where it does not fit, QEMU
# is told by SIGBUS, at any time.
make_room() {
	local need=$(((MIB + 4) << 20))
	# its copy, the archive of it, and that behind the image
	[[ -z $PROGRAM ]] || need=$((need + 3 * $(stat -L -c %s -- "$PROGRAM") + $(stat -c %s -- "$BUILD/initramfs.cpio")))
	MEMORY=$RUN
	(($(room_in "$RUN") < need)) || return 0
	MEMORY=$LOGS/memory
	also_ours "$MEMORY"
	rm -rf -- "$MEMORY"
	mkdir -m 700 -- "$MEMORY"
	(($(room_in "$MEMORY") >= need)) ||
		die "neither $shm nor $LOGS has room for $((need >> 20)) MiB: make some, or give the guest less with MEM=."
	note "$shm has no room for a guest of $MEM: its memory is the file $MEMORY/ram, which is slower"
}

# The image, and behind it the program to run instead of the demo.
make_initramfs() {
	INITRAMFS=$BUILD/initramfs.cpio RUNS=demo
	if [[ -n $PROGRAM ]]; then
		await "$ROOT/initramfs/build.sh" --program "$MEMORY/program.cpio" "$PROGRAM"
		await cat "$INITRAMFS" "$MEMORY/program.cpio" >"$MEMORY/initramfs.cpio"
		INITRAMFS=$MEMORY/initramfs.cpio RUNS=/lab/program
	fi
}

# set_words THEN: WORDS, the kernel's command line.
set_words() {
	# no_timer_check: on a busy host an emulated timer can miss the kernel's test of it
	WORDS="console=ttyS0 nokaslr quiet reboot=t panic=-1 no_timer_check lab.run=$RUNS lab.then=$1"
	[[ $ACCEL != tcg ]] || WORDS+=" lpj=2000000" # spares the boot a calibration
	[[ -z $ARGS ]] || WORDS+=" lab.args=$ARGS"
}

# prepare_guest THEN QEMU-OPTION...: after check_settings and make_run_folder, say in QEMU how to start the guest. THEN
# is what follows the program in it: shell or reboot.
prepare_guest() {
	local then=$1
	shift
	make_room
	[[ $ACCEL != kvm ]] || check_kvm
	make_initramfs
	set_words "$then"
	QEMU=(
		"${QEMU_BASE[@]}"
		-accel "$ACCEL" -machine "microvm,acpi=off,memory-backend=ram"
		-object "memory-backend-file,id=ram,size=$MEM,mem-path=${MEMORY//,/,,}/ram,share=on"
		-m "$MEM" -smp "$SMP"
		-kernel "$KDIR/vmlinux.pvh" -initrd "$INITRAMFS" -append "$WORDS"
		-fsdev "local,id=share,path=${BUILD//,/,,}/share,security_model=none,readonly=on"
		-device "virtio-9p-device,fsdev=share,mount_tag=host_share"
		"$@"
	)
	[[ $ACCEL == tcg ]] || QEMU+=(-cpu host)
	umask 077
}

# set_machine MODE LOG DISK INITRAMFS KERNEL RAM MEM WORDS: MACHINE, QEMU's command line up to where what the guest says
# goes. MODE is record, index or replay. One processor and no share, for QEMU records no others.
#
# A replay starts at a snapshot that the index makes at the kernel's first instruction. Before it is only the firmware,
# which must not run a second time: what it reads then tells it whether the kernel is an ELF file is memory that QEMU
# 7.2 has long used for something else (load_elfboot() in hw/i386/x86.c).
set_machine() {
	local mode=$1 from=init log=${2//,/,,} disk=${3//,/,,} ram=${6//,/,,}
	case $mode in
	index) mode=replay ;;
	replay) from=start ;;
	esac
	MACHINE=(
		"${QEMU_BASE[@]}"
		-accel tcg -machine "microvm,acpi=off,memory-backend=ram"
		-icount "shift=7,rr=$mode,rrfile=$log,rrsnapshot=$from"
		-drive "if=none,id=rr,file=$disk,format=qcow2,snapshot=off"
		-object "memory-backend-file,id=ram,size=$7,mem-path=$ram,share=on"
		-m "$7" -smp 1 -kernel "$5" -initrd "$4" -append "$8"
	)
}

# recording_step seal|check NAME=VALUE...: see gdb/recording.py, which says what is wrong.
recording_step() {
	local machine=$RUN/machine
	set_machine MODE @log @disk @initramfs @kernel @ram @memory @words
	printf '%s\n' "${MACHINE[@]}" >"$machine"
	await env -C "$ROOT" LAB_STEP="$1" LAB_MACHINE="$machine" LAB_VMLINUX="$KDIR/obj/vmlinux" \
		LAB_QEMU="$(qemu-system-x86_64 --version | head -n 1)" "${@:2}" \
		/usr/bin/python3 -I gdb/recording.py </dev/null
}

# The recording that is meant, and how long making one may take.
RECORDING=$(realpath -m -- "${RECORDING:-$BUILD/recording}") LIMIT=${LIMIT:-300}

check_limit() {
	[[ $LIMIT =~ ^[1-9][0-9]{0,5}$ ]] || die "LIMIT=$LIMIT is no time: give whole seconds, for example LIMIT=600."
}

# program_status FILE: with what the program ended that had this console; empty if the guest ended before it. What the
# program says itself may look like that line: only the last one is /init's.
program_status() {
	LC_ALL=C sed -n 's/\r$//; s/.*lab: [^ ]* exited with \([0-9]\{1,3\}\)$/\1/p' "$1" | tail -n 1
}

# Does somebody listen on the stub's socket? Reads the kernel's table: to connect would stop the guest.
stub_listens() {
	[[ $(grep -F -- " $STUB" /proc/net/unix) == *" 00010000 "* ]] # __SO_ACCEPTCON
}

# Let gdb in, through a socket in our folder and through port GDB_TCP if one is given.
launch_relay() {
	local said='' out
	mkfifo -- "$RUN/said"
	exec 3<>"$RUN/said" # so that to open one end waits for nobody
	child setsid /usr/bin/python3 -I "$ROOT/scripts/relay.py" \
		"$STUB" "$GDB_SOCKET" ${GDB_TCP:+"$GDB_TCP"} </dev/null >"$RUN/said" 2>"$LOGS/relay.log" 3<&-
	exec {out}<"$RUN/said" 3<&-
	read -r said <&"$out" || true
	exec {out}<&-
	[[ $said == ready ]] || die "gdb cannot be let in${GDB_TCP:+ with GDB_TCP=$GDB_TCP}:" \
		"${said:-$(tail -n 1 "$LOGS/relay.log")}."
}

# Run QEMU in the background, away from the terminal's Ctrl-C; wait for its stub.
launch_guest() {
	launch_relay
	HOLDS_LOCK=1 child setsid "${QEMU[@]}" "${STUB_OPTION[@]}" </dev/null >"$LOGS/qemu.log" 2>&1
	QEMU_PID=$CHILD
	local tries
	for ((tries = 0; tries < 500; tries++)); do
		! stub_listens || return 0
		kill -0 "$QEMU_PID" 2>/dev/null || break
		sleep 0.02
	done
	local last
	last=$(tail -n 1 "$LOGS/qemu.log" | printable)
	die "QEMU did not start: ${last:-it ended without a word}"
}

# gdb without a person: nothing that one has set for a gdb or a Python of theirs is read.
PYTHONS=("${!PYTHON@}")
# shellcheck disable=SC2034 # for the scripts that source this
BATCH_GDB=(env "${PYTHONS[@]/#/--unset=}" PYTHONNOUSERSITE=1 gdb -nx -q -batch -iex "set auto-load no")

# The end, however it comes: of what was started first, then of the folder.
end_guest() {
	local status=$? running
	trap '' INT TERM HUP
	mapfile -t running < <(jobs -pr) # those that are not waited for: no other process has their number
	if ((${#running[@]})); then
		kill -KILL "${running[@]}" 2>/dev/null || true
		{ wait "${running[@]}" || true; } 2>/dev/null
	fi
	[[ -z ${TERMINAL:-} ]] || (trap '' TTOU && stty "$TERMINAL") 2>/dev/null || true
	discard 8
	rmdir -- "$RUN" 2>/dev/null || true
	output_is_written "$status" || status=1
	exit "$status"
}

# child COMMAND...: as a process in the background, which ends with this script; CHILD is its number. With HOLDS_LOCK=1 the
# lab lives as long as it does. Descriptor 8, the folder, is closed in the child alone: what is closed for a call of this
# function is closed for the end of this script as well, if that comes meanwhile.
child() {
	if [[ -n ${HOLDS_LOCK:-} ]]; then
		bound "$@" <&0 4<&- 5>&- &
	else
		bound "$@" <&0 4<&- 5>&- 8<&- &
	fi
	CHILD=$!
}

# wait_for CHILD: wait for it; its status. A signal to this script ends the waiting at once, as it would not for a process in
# the foreground. What bash says of a process that was killed is no news.
wait_for() {
	local status=0
	# Not the end of the group: leaving the script in it would leave our standard error open, and who reads it waiting
	{ wait "$1" || status=$?; } 2>/dev/null
	return "$status"
}

# await COMMAND...: a process of this script's, from its start to its end.
await() {
	child "$@"
	wait_for "$CHILD"
}

# child_within SECONDS COMMAND...: as child(), killed when the time is over; see is_over.
child_within() {
	STARTED=$SECONDS SECONDS_GIVEN=$1
	# shellcheck disable=SC2016 # for the bash in between, which sees to it that its parent lives, as bound() does
	child timeout --foreground --signal=KILL "$1" setpriv --pdeathsig KILL \
		bash -c '[[ $(<"/proc/$PPID/comm") == timeout ]] && exec "$@"' bash "${@:2}"
}

# is_over STATUS: did the last child_within() end because its time was over?
is_over() {
	[[ $1 == 137 ]] && ((SECONDS - STARTED >= SECONDS_GIVEN))
}

# die_of_room: if that is why the guest ended, which it does by SIGBUS, or said nothing
die_of_room() {
	local status=0
	jobs -pr | grep -qFx "$QEMU_PID" || wait_for "$QEMU_PID" || status=$?
	[[ $status != $((128 + 7)) ]] ||
		die "no room is left for $MEMORY/ram, the guest's memory: make some, or give the guest less with MEM=."
	(($(free_in "$LOGS") >= 4096)) || die "no room is left in $LOGS, where the guest's console is kept: make some."
}

# gdb on the kernel's symbols, with the kernel's own lx- commands, until it ends: for a person, or with commands from
# standard input.
open_gdb() {
	local command=(gdb -q)
	cd "$ROOT"
	# connect.py loads them, and what is said here of loading by gdb goes for vmlinux
	command+=(-iex "python loaded_by_gdb = gdb.parameter('auto-load python-scripts')" -iex "set auto-load python-scripts off")
	command+=(-ex "set pagination off" -ex "set confirm off" -ex "source gdb/connect.py" "$KDIR/obj/vmlinux")
	export LAB_SOCKET=$GDB_SOCKET LAB_STARTED=$RUN/started
	local status=0
	if [[ -t 0 ]]; then
		await_at_terminal "${command[@]}" || status=$?
	else
		child "${command[@]}"
		wait_for "$CHILD" || status=$?
	fi
	die_of_room
	[[ -e $LAB_STARTED ]] || die "gdb did not load the lab: see above${PYTHONS[*]:+; it may be because of ${PYTHONS[*]}, which is set}."
	return "$status"
}

# await_at_terminal COMMAND...: in its foreground, see foreground.sh
await_at_terminal() {
	# The terminal may go away while gdb waits for the guest and this script for gdb: then nobody is told reliably.
	# shellcheck disable=SC2016 # for that bash
	child bash -c 'while sleep 1; do [[ -t 0 ]] || kill "$PPID"; done' >/dev/null 2>&1
	TERMINAL=$(stty -g)
	BOUND_BY=TERM child "$ROOT/scripts/foreground.sh" "$@" 6>&2
	wait_for "$CHILD"
}
