#!/usr/bin/env bash
# Boot the guest paused and open gdb on it: `make debug`.
#
# Without a terminal, gdb takes its commands from standard input, and the guest
# ends after its program, since nobody could type in its shell.
set -euo pipefail

# shellcheck source=scripts/guest.sh
. "$(dirname "$0")/guest.sh"

then=reboot
[[ ! -t 0 ]] || then=shell
check_settings
make_run_folder
prepare_guest "$then" -S -serial chardev:console \
	-chardev "socket,id=console,path=${RUN//,/,,}/console,server=on,wait=off,logfile=${LOGS//,/,,}/console.log"
launch_guest
open_gdb
