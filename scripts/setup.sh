#!/usr/bin/env bash
# Usage: scripts/setup.sh [LIST...]
#
# Installs the missing Debian packages of these lists in scripts/ (packages.txt if none is given), as root or with a
# sudo that asks for no password. Otherwise prints the command to type and fails.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

command -v dpkg-query >/dev/null ||
	die "this machine has no dpkg: the lab runs on Debian 12; in a container, start from image debian:12."

(($#)) || set -- packages.txt
mapfile -t needed < <(cd "$ROOT/scripts" && sed 's/#.*//' "$@" | awk 'NF && !seen[$1]++ { print $1 }')
((${#needed[@]})) || die "no package is in $*: see --help of $0, and ls $ROOT/scripts."
# dpkg-query fails if it does not know one of them, but still lists the others.
installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${needed[@]}" 2>/dev/null || true)
mapfile -t missing < <(
	for package in "${needed[@]}"; do
		[[ $'\n'$installed$'\n' == *$'\n'"$package installed"$'\n'* ]] || echo "$package"
	done
)
((${#missing[@]})) || exit 0

note "missing packages: ${missing[*]}"

if ((EUID == 0)); then
	as_root=(env)
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
	as_root=(sudo -n env)
else
	die "packages are missing and installing needs root: run this, then the same make again:" \
		"sudo apt-get update && sudo apt-get install --no-install-recommends ${missing[*]}"
fi

# apt ARGUMENT...: run apt-get as root, without questions
apt() {
	"${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 -q "$@"
}

install_missing() {
	apt install -y --no-install-recommends "${missing[@]}"
}

# Fetch the package lists only if apt has none, or if they name files that the archive has since replaced.
if ! apt install --simulate "${missing[@]}" >/dev/null 2>&1 || ! install_missing; then
	apt update || die "apt-get update failed: see its message above, mend the network or apt's sources, and try again."
	install_missing ||
		die "apt-get could not install ${missing[*]}: see its message above, mend it, and try again."
fi
