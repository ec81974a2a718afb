#!/usr/bin/env bash
# Usage: scripts/debian-source.sh SUITE/SOURCE=VERSION FILE
#
# Prints the addresses, best first, of FILE of a Debian source package: as SUITE's source index gives it, then where
# Debian's pool keeps it in case SUITE has moved on. The archive is the one this machine's apt already uses; apt's own
# configuration and lists are neither changed nor needed. Works without root.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

readonly suite=${1%%/*} package=${1#*/} file=$2
readonly source=${package%%=*}

command -v apt-get >/dev/null ||
	die "$file comes from Debian's archive and this machine has no apt: give the address of a folder that holds it with KERNEL_MIRROR=."

mapfile -t sites < <(
	# shellcheck disable=SC2016 # $(SITE) is apt's own notation
	apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | awk '/^https?:/ && !/security/ && !seen[$0]++'
)
((${#sites[@]})) ||
	die "apt on this machine uses no http archive to get $file from: give the address of a folder that holds it with KERNEL_MIRROR=."

mkdir -p "$BUILD"
private=$(mktemp -d "$BUILD/.apt.XXXXXX")
trap 'rm -rf -- "$private"' EXIT
mkdir -p "$private/lists/partial" "$private/cache/archives/partial"

# Read after the machine's own configuration, so that proxies and credentials stay as they are.
cat >"$private/apt.conf" <<-END
	Dir::Etc::SourceList "$private/sources.list";
	Dir::Etc::SourceParts "/dev/null";
	Dir::State::Lists "$private/lists";
	Dir::Cache "$private/cache";
	APT::Sandbox::User "";
	Acquire::Languages "none";
	Acquire::http::Timeout "10";
	Acquire::https::Timeout "10";
	#clear APT::Update::Pre-Invoke;
	#clear APT::Update::Post-Invoke;
	#clear APT::Update::Post-Invoke-Success;
END

# index_address SITE: what the signed index of SITE says, nothing if it cannot tell
index_address() {
	echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $1 $suite main" >"$private/sources.list"
	apt-get -c "$private/apt.conf" -qq update >"$private/log" 2>&1 || return 0
	apt-get -c "$private/apt.conf" source --only-source --download-only --print-uris "$package" 2>>"$private/log" |
		awk -v file="$file" -F "'" 'index($3, " " file " ") == 1 { print $2 }' || return 0
}

note "looking for $file in Debian's archive"
for site in "${sites[@]}"; do
	address=$(index_address "$site")
	[[ -z $address ]] || break
done
pool=("${sites[@]/%//pool/main/${source:0:1}/$source/$file}")
printf '%s\n' ${address:+"$address"} "${pool[@]}" | awk '!seen[$0]++'
