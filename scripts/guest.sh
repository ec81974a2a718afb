# shellcheck shell=bash
# Start and end a guest. Shared by boot.sh, debug.sh, verify.sh, record.sh and replay.sh,
# which source it: `. "$(dirname "$0")/guest.sh"`.
#
# From the environment: PORT, SMP, MEM, ACCEL, PROGRAM, ARGS, GDB_TCP (see `make help`).

# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

PORT=${PORT:-1234} SMP=${SMP:-2} MEM=${MEM:-256M} ACCEL=${ACCEL:-tcg}
PROGRAM=${PROGRAM:-} ARGS=${ARGS:-} GDB_TCP=${GDB_TCP:-}
KDIR=$(kernel_dir)
LOGS=$BUILD/run/$PORT
QEMU_PID='' WATCHER_PID='' RELAY_PID=''
SCRATCH=() # what else end_guest is to remove

# The RAM file and the sockets: private to the user, in memory, with a short name,
# since the name of a unix socket holds 107 bytes at most.
shm=/dev/shm
[[ -d $shm && -w $shm ]] || shm=${TMPDIR:-/tmp}
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
	local mib=${MEM%?}
	[[ $MEM == *M ]] || mib=$((mib * 1024))
	[[ $mib -ge 64 && $mib -le 3072 ]] ||
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
	# In braces, so that bash's own word on a QEMU that aborts goes nowhere
	{ timeout 5 "${QEMU_BASE[@]}" -accel kvm -cpu host -machine microvm,acpi=off -m 128M \
		-kernel "$KDIR/vmlinux.pvh" -append "console=ttyS0 earlyprintk=ttyS0 reboot=t panic=-1" -serial "file:$log" \
		</dev/null >"$RUN/probe.err" 2>&1 || true; } 2>/dev/null
	grep -qs "Linux version" "$log" || die "ACCEL=kvm: the guest ran no instruction within 5 s" \
		"($(tail -n 1 "$RUN/probe.err" | cut -c 1-200 | printable)): leave ACCEL unset to emulate the processor."
}

# A folder for what lives as long as this lab. The lock says that it does.
make_run_folder() {
	[[ -d $RUN ]] || mkdir -m 700 -- "$RUN" 2>/dev/null || true
	[[ ! -L $RUN && -d $RUN && -O $RUN && $(stat -c %a -- "$RUN") == 700 ]] ||
		die "$RUN cannot be made or is not a private folder of yours: give another PORT."
	exec 8<"$RUN"
	if ! flock --nonblock 8 || [[ ! $RUN -ef /proc/self/fd/8 ]]; then
		die "a lab with PORT=$PORT is running: give this one another number, for example PORT=$((PORT % 65535 + 1))."
	fi
	trap end_guest EXIT # from here on the folder is ours to remove
	rm -rf -- /proc/self/fd/8/* # of a lab that was killed
	mkdir -p "$LOGS" "$BUILD/share"
}

# The image, and behind it the program to run instead of the demo.
make_initramfs() {
	INITRAMFS=$BUILD/initramfs.cpio RUNS=demo
	if [[ -n $PROGRAM ]]; then
		"$ROOT/initramfs/build.sh" --program "$RUN/program.cpio" "$PROGRAM"
		cat "$INITRAMFS" "$RUN/program.cpio" >"$RUN/initramfs.cpio"
		INITRAMFS=$RUN/initramfs.cpio RUNS=/lab/program
	fi
}

# set_words THEN: WORDS, the kernel's command line.
set_words() {
	# no_timer_check: on a busy host an emulated timer can miss the kernel's test of it
	WORDS="console=ttyS0 nokaslr quiet reboot=t panic=-1 no_timer_check lab.run=$RUNS lab.then=$1"
	[[ $ACCEL != tcg ]] || WORDS+=" lpj=2000000" # spares the boot a calibration
	[[ -z $ARGS ]] || WORDS+=" lab.args=$ARGS"
}

# prepare_guest THEN QEMU-OPTION...: check everything, then say in QEMU how to start
# it. THEN is what follows the program in the guest: shell or reboot.
prepare_guest() {
	local then=$1
	shift
	check_settings
	make_run_folder
	[[ $ACCEL != kvm ]] || check_kvm
	make_initramfs
	set_words "$then"
	QEMU=(
		"${QEMU_BASE[@]}"
		-accel "$ACCEL" -machine "microvm,acpi=off,memory-backend=ram"
		-object "memory-backend-file,id=ram,size=$MEM,mem-path=$RUN/ram,share=on"
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
	(cd "$ROOT" && env LAB_STEP="$1" LAB_MACHINE="$machine" LAB_VMLINUX="$KDIR/obj/vmlinux" \
		LAB_QEMU="$(qemu-system-x86_64 --version | head -n 1)" "${@:2}" \
		gdb -nx -q -batch -iex "set auto-load no" -x gdb/recording.py </dev/null)
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
	exec {out}< <(exec setsid setpriv --pdeathsig TERM /usr/bin/python3 -I "$ROOT/scripts/relay.py" \
		"$STUB" "$GDB_SOCKET" ${GDB_TCP:+"$GDB_TCP"} 2>"$LOGS/relay.log" 8<&-)
	RELAY_PID=$!
	read -r said <&"$out" || true
	exec {out}<&-
	[[ $said == ready ]] || die "gdb cannot be let in${GDB_TCP:+ with GDB_TCP=$GDB_TCP}:" \
		"${said:-$(tail -n 1 "$LOGS/relay.log")}."
}

# Run QEMU in the background, away from the terminal's Ctrl-C; wait for its stub.
# It ends when this script does, however that happens.
launch_guest() {
	launch_relay
	setsid setpriv --pdeathsig TERM "${QEMU[@]}" "${STUB_OPTION[@]}" </dev/null >"$LOGS/qemu.log" 2>&1 8<&- &
	QEMU_PID=$!
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

end_guest() {
	[[ -z $WATCHER_PID ]] || kill "$WATCHER_PID" 2>/dev/null || true
	[[ -z $RELAY_PID ]] || kill "$RELAY_PID" 2>/dev/null || true
	if [[ -n $QEMU_PID ]]; then
		kill "$QEMU_PID" 2>/dev/null || true
		wait "$QEMU_PID" 2>/dev/null || true
	fi
	rm -rf -- "$RUN" "${script:-}" "${SCRATCH[@]}"
}

# gdb on the kernel's symbols, with the kernel's own lx- commands. GDB_ERRORS is the descriptor for what goes wrong.
run_gdb() {
	local scripts
	scripts=$(realpath -e -- "$KDIR/obj/vmlinux-gdb.py")
	gdb -q -iex "add-auto-load-safe-path $scripts" -iex "add-auto-load-safe-path $KDIR/obj" -ex "set pagination off" -ex "set confirm off" \
		"$@" "$KDIR/obj/vmlinux" 2>&"${GDB_ERRORS:-2}"
}

# open_gdb: gdb for a person, or with commands from standard input, until it ends.
open_gdb() {
	cd "$ROOT"
	exec 6>&2
	if [[ -t 0 ]]; then
		# The terminal may go away while gdb waits for the guest and this script for gdb: then nobody is told reliably.
		exec 7<&0
		while sleep 1 && kill -0 $$ 2>/dev/null; do
			[[ -t 7 ]] || kill "$QEMU_PID"
		done 8<&- 2>/dev/null &
		WATCHER_PID=$!
	fi
	exec 2>/dev/null # where bash tells of a QEMU that was killed
	(
		# gdb gets a process group of its own: Ctrl-C stops the guest, and does not tell make to give up. Which terminal
		# goes with it bash takes from its standard error.
		[[ ! -t 0 ]] || { exec 2>&0 && set -m; }
		LAB_SOCKET=$GDB_SOCKET GDB_ERRORS=6 run_gdb -ex "source gdb/connect.py"
	)
}
