#!/usr/bin/env bash
# Usage: scripts/debug.sh
#
# Boots the guest paused and opens gdb on it: `make debug`. PROGRAM, ARGS, ACCEL, SMP, MEM, PORT and GDB_TCP are as
# `make help` says.
#
# Without a terminal, gdb takes its commands from standard input, and the guest ends after its program instead of
# opening a shell.
# shellcheck source-path=SCRIPTDIR source=guest.sh
. "$(dirname "$0")/guest.sh"

then=reboot
[[ ! -t 0 ]] || then=shell
check_settings
start_lab
prepare_machine "$then"
compose_qemu debug
launch_guest
open_gdb
