# shellcheck shell=bash
# The guest's machine: settings, memory, image, and QEMU's command line. Sourced by guest.sh, which starts it.
#
# Settings, from the environment: PORT, SMP, MEM, ACCEL, PROGRAM, ARGS, GDB_TCP, RECORDING, LIMIT (see `make help`).
#
# Call check_settings first, then prepare_machine, then compose_qemu.

PORT=${PORT:-1234} SMP=${SMP:-2} MEM=${MEM:-256M} ACCEL=${ACCEL:-tcg}
PROGRAM=${PROGRAM:-} ARGS=${ARGS:-} GDB_TCP=${GDB_TCP:-}
[[ $PROGRAM != -* ]] || PROGRAM=./$PROGRAM # so that no command takes the name for an option
KDIR=$(kernel_dir)
LOGS=$BUILD/run/$PORT

# shellcheck source-path=SCRIPTDIR source=lab-folder.sh
. "$ROOT/scripts/lab-folder.sh"
# shellcheck disable=SC2034 # GDB_SOCKET is used by guest.sh
STUB=$RUN/stub GDB_SOCKET=$RUN/gdb # QEMU's stub, and the socket through which gdb reaches it: see relay.py

# The recording's folder, and how many seconds making one may take.
RECORDING=$(realpath -m -- "${RECORDING:-$BUILD/recording}") LIMIT=${LIMIT:-300}

# Every QEMU of the lab, including those of the tests, starts like this: with no device, window or file that was not
# asked for, and in a sandbox, so that whoever takes control of QEMU cannot start a program, change user or raise its
# priority.
#
# vapic=off removes a device that only Windows uses. Its reset waits for the CPU's thread, which may be waiting for the
# replay lock: QEMU 7.2 then hangs when a checkpoint is loaded.
QEMU_BASE=(
	qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot
	-sandbox "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
	-global apic-common.vapic=off
)

KVM=/dev/kvm

# The default machine type.
MICROVM=microvm,acpi=off

# The words that every guest's kernel gets, including those of the tests. no_timer_check: on a busy host an emulated
# timer can fail the kernel's test.
BASE_WORDS="console=ttyS0 quiet reboot=t panic=-1 no_timer_check"
# Under TCG: skip two calibrations, a quarter of a second of the boot. On a busy host that of the local APIC's timer can
# fail, and chance would decide which timer the guest has.
TCG_WORDS="lpj=2000000 nolapic_timer"
readonly BASE_WORDS TCG_WORDS

# What the kernel's command line takes: COMMAND_LINE_SIZE on x86, with a null byte at its end, and less what QEMU adds
# for each of a microvm's devices, such as " virtio_mmio.device=512@0xfeb00e00:12".
MOST_WORDS=$((2048 - 1 - 2 * 40))
readonly MOST_WORDS

# The guest's files, and its command line. RR_LOG and RR_DISK are set for a recording only.
KERNEL_IMAGE=$KDIR/vmlinux.pvh
INITRAMFS='' # set by make_initramfs
WORDS=''     # the kernel's command line, set by set_words
RAM_FILE=''  # set by make_room
RR_LOG='' RR_DISK=''

check_settings() {
	[[ -z ${JSON:-} ]] || # verify.sh has taken it
		die "JSON=$JSON: only make verify and make bench write a result: leave JSON unset."
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
	[[ -f $KDIR/vmlinux.pvh && -f $KDIR/modules.cpio && -f $BUILD/initramfs.cpio ]] ||
		die "the kernel, its modules or the initramfs is not built: type make kernel image."
	if [[ -n $PROGRAM && ! -f $PROGRAM ]]; then
		die "PROGRAM=$PROGRAM is not a file: give the path of a static program."
	fi
	[[ $ARGS =~ ^[^[:space:]\"]*$ ]] ||
		die "ARGS=$ARGS has a space or a quote: give the arguments separated by commas."
}

check_limit() {
	[[ $LIMIT =~ ^[1-9][0-9]{0,5}$ ]] || die "LIMIT=$LIMIT is no time: give whole seconds, for example LIMIT=600."
}

# set_guest OPTION...: set GUEST, with which the command line of every guest begins, including those of the tests: from
# MEM, SMP, KERNEL_IMAGE, INITRAMFS (none if empty) and WORDS. The options include -machine.
set_guest() {
	GUEST=(
		"${QEMU_BASE[@]}" "$@"
		-m "$MEM" -smp "$SMP" -kernel "$KERNEL_IMAGE" ${INITRAMFS:+-initrd "$INITRAMFS"} -append "$WORDS"
	)
}

# check_kvm: die unless the guest runs under KVM. A /dev/kvm that opens may still never run an instruction, or stop at
# one that it cannot emulate, so boot the kernel without an initramfs: in the end it panics for want of a root.
check_kvm() {
	[[ -r $KVM && -w $KVM ]] ||
		die "ACCEL=kvm: $KVM cannot be opened: join the group kvm, or leave ACCEL unset."
	local log=$RUN/probe.log MEM=128M SMP=1 INITRAMFS='' GUEST
	local WORDS="console=ttyS0 earlyprintk=ttyS0 reboot=t panic=-1"
	set_guest -accel kvm -cpu host -machine "$MICROVM"
	local status=0 why="the guest ran no instruction within 5 s"
	HOLDS_LOCK=1 child_within 5 "${GUEST[@]}" -serial "file:$log" </dev/null >"$RUN/probe.err" 2>&1
	wait_for "$CHILD" || status=$?
	! grep -qs "Kernel panic" "$log" || return 0
	is_over "$status" || why="QEMU failed before the guest ran an instruction"
	! grep -qs "Linux version" "$log" || why="the guest started, but its kernel did not get to its end within 5 s"
	local said errors=$RUN/probe.err
	said=$({ grep -m 1 "KVM internal error" "$errors" || tail -n 1 "$errors"; } | cut -c 1-200 | printable)
	die "ACCEL=kvm: $why${said:+ ($said)}: leave ACCEL unset to emulate the processor."
}

# free_in FOLDER: the number of bytes free there
free_in() {
	df --output=avail --block-size=1 -- "$1" | tail -n 1
}

# room_in FOLDER: the number of bytes free there, less what the RAM files of this user's running labs have not used yet
room_in() {
	local untouched
	untouched=$({ find "$shm"/seginfo-lab-"$(id -u)"-* "$BUILD"/run/*/memory -maxdepth 1 ! -user "$(id -u)" -prune -o \
		-type f -name ram -printf '%D %s %b\n' 2>/dev/null || true; } |
		awk -v device="$(stat -c %d -- "$1")" '$1 == device { sum += $2 - 512 * $3 } END { printf "%.0f", sum }')
	echo $(($(free_in "$1") - untouched))
}

# make_room: set MEMORY, the folder for the guest's RAM file and other large files, in memory or else on disk. If it
# turned out too small, QEMU would get SIGBUS at any time.
make_room() {
	# the image with the modules appended; the program's copy, its archive, and that archive appended
	local need=$((((MIB + 4) << 20) + $(cat "$BUILD/initramfs.cpio" "$KDIR/modules.cpio" | wc -c)))
	[[ -z $PROGRAM ]] || need=$((need + 3 * $(stat -L -c %s -- "$PROGRAM")))
	MEMORY=$RUN RAM_FILE=$RUN/ram
	(($(room_in "$RUN") < need)) || return 0
	MEMORY=$LOGS/memory RAM_FILE=$LOGS/memory/ram
	also_ours "$MEMORY"
	rm -rf -- "$MEMORY"
	mkdir -m 700 -- "$MEMORY"
	(($(room_in "$MEMORY") >= need)) ||
		die "neither $shm nor $LOGS has room for $((need >> 20)) MiB: make some, or give the guest less with MEM=."
	note "$shm has no room for a guest of $MEM: its memory is the file $RAM_FILE, which is slower"
}

# make_initramfs: set INITRAMFS, the image with the kernel's modules and PROGRAM's archive appended, if there is one,
# and RUNS, what /init is to run
make_initramfs() {
	local archives=("$BUILD/initramfs.cpio" "$KDIR/modules.cpio")
	RUNS=demo
	if [[ -n $PROGRAM ]]; then
		await "$ROOT/initramfs/build.sh" --program "$MEMORY/program.cpio" "$PROGRAM"
		archives+=("$MEMORY/program.cpio") RUNS=/lab/program
	fi
	INITRAMFS=$MEMORY/initramfs.cpio
	await cat "${archives[@]}" >"$INITRAMFS"
}

# set_words THEN: set WORDS, the kernel's command line
set_words() {
	WORDS="$BASE_WORDS nokaslr lab.run=$RUNS lab.then=$1"
	[[ $ACCEL != tcg ]] || WORDS+=" $TCG_WORDS"
	[[ -z $ARGS ]] || WORDS+=" lab.args=$ARGS"
	local LC_ALL=C # count bytes
	local over=$((${#WORDS} - MOST_WORDS))
	((over <= 0)) ||
		die "ARGS is $over byte$( ((over == 1)) || echo s) too long for the kernel's command line, which would be cut" \
		"off: give less, or a script with the arguments in it as PROGRAM."
}

# prepare_machine THEN: after check_settings and start_lab, prepare all that compose_qemu needs. THEN is what the guest
# does after the program: shell or reboot.
prepare_machine() {
	make_room
	[[ $ACCEL != kvm ]] || check_kvm
	make_initramfs
	set_words "$1"
	umask 077
}

# set_machine MODE: set MACHINE, the part of QEMU's command line that describes the guest but not its console. With a
# recording (MODE is record, index or replay) the guest has one processor and no share: QEMU can record no more.
#
# A replay starts at a snapshot that indexing makes at the kernel's first instruction. Only the firmware runs before it,
# and it must not run twice: to learn whether the kernel is an ELF file it would read memory that QEMU 7.2 has reused by
# then (load_elfboot() in hw/i386/x86.c).
set_machine() {
	local accel=$ACCEL SMP=$SMP rr='' from=init devices=() GUEST
	case $1 in
	boot | debug | verify) ;;
	index) rr=replay ;;
	replay) rr=replay from=start ;;
	*) rr=$1 ;;
	esac
	if [[ -n $rr ]]; then
		accel=tcg SMP=1
		devices=(
			-icount "shift=7,rr=$rr,rrfile=${RR_LOG//,/,,},rrsnapshot=$from"
			-drive "if=none,id=rr,file=${RR_DISK//,/,,},format=qcow2,snapshot=off"
		)
	fi
	set_guest -accel "$accel" -machine "$MICROVM,memory-backend=ram" "${devices[@]}" \
		-object "memory-backend-file,id=ram,size=$MEM,mem-path=${RAM_FILE//,/,,},share=on"
	MACHINE=("${GUEST[@]}")
	[[ -n $rr ]] || MACHINE+=(
		-fsdev "local,id=share,path=${BUILD//,/,,}/share,security_model=none,readonly=on"
		-device "virtio-9p-device,fsdev=share,mount_tag=host_share"
	)
	[[ $accel == tcg ]] || MACHINE+=(-cpu host)
}

# compose_qemu MODE: set QEMU, its whole command line. MODE is boot, debug, verify, record, index or replay.
compose_qemu() {
	local log=${LOGS//,/,,}/console.log stub=1
	set_machine "$1"
	QEMU=("${MACHINE[@]}")
	case $1 in
	boot)
		QEMU+=(-serial chardev:console -chardev "stdio,id=console,mux=on,signal=off,logfile=$log")
		QEMU+=(-mon "chardev=console,mode=readline")
		stub=$GDB_TCP
		;;
	debug)
		QEMU+=(-S -serial chardev:console)
		QEMU+=(-chardev "socket,id=console,path=${RUN//,/,,}/console,server=on,wait=off,logfile=$log")
		;;
	verify) QEMU+=(-S -serial "file:$LOGS/console.log") ;;
	record)
		log=${RR_LOG%/*}/console.log
		QEMU+=(-serial chardev:console -chardev "stdio,id=console,signal=off,logfile=${log//,/,,}")
		stub=''
		;;
	index) QEMU+=(-no-shutdown -S -serial null) ;;
	replay) QEMU+=(-no-shutdown -S -serial "file:$LOGS/console.log") ;;
	esac
	[[ -z $stub ]] || QEMU+=(-gdb "unix:${STUB//,/,,},server=on,wait=off")
}

# make_command TARGET: the command that does this with the recording and the kernel that were given
make_command() {
	local name
	printf 'make %s' "$1"
	[[ $RECORDING == "$BUILD/recording" ]] || printf ' RECORDING=%q' "$RECORDING"
	for name in KERNEL KERNEL_SRC JUDGES RANDSTRUCT; do
		[[ -z ${!name} ]] || printf ' %s=%q' "$name" "${!name}"
	done
}

# recording_step seal|check NAME=VALUE...: run gdb/recording.py, which prints what is wrong
recording_step() {
	local machine=$RUN/machine KERNEL_IMAGE=@kernel INITRAMFS=@initramfs RAM_FILE=@ram MEM=@memory WORDS=@words
	local RR_LOG=@log RR_DISK=@disk
	set_machine MODE
	printf '%s\n' "${MACHINE[@]}" >"$machine"
	await env -C "$ROOT" LAB_STEP="$1" LAB_RECORD="$(make_command record)" LAB_MACHINE="$machine" \
		LAB_VMLINUX="$KDIR/obj/vmlinux" LAB_QEMU="$(qemu-system-x86_64 --version | head -n 1)" "${@:2}" \
		/usr/bin/python3 -I gdb/recording.py </dev/null
}
