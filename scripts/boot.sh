#!/usr/bin/env bash
# Boot the guest and give its shell on this terminal: `make boot`.
#
# Ctrl-C goes to the guest. Leave the guest's shell, or type Ctrl-A X, to end it.
set -euo pipefail

# shellcheck source=scripts/guest.sh
. "$(dirname "$0")/guest.sh"

prepare_guest shell -serial chardev:console \
	-chardev "stdio,id=console,mux=on,signal=off,logfile=$LOGS/console.log" \
	-mon "chardev=console,mode=readline"
setpriv --pdeathsig TERM "${QEMU[@]}" 8<&-
