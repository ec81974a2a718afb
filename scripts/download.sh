#!/usr/bin/env bash
# Usage: scripts/download.sh FILE SHA256 URL...
#
# Downloads FILE from the first URL that answers. It is FILE.part until it is complete and its SHA-256 is right; an
# interrupted download, even if this script was killed, is resumed from there. A server that sends nothing for
# DOWNLOAD_STALL seconds (20) is given up.
#
# Exit 69 when no URL could be reached, with the reason on standard output; 1, with a message, for any other failure.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

readonly UNREACHABLE=69 file=$1 sha256=$2
readonly part=$file.part name=${file##*/} stall=${DOWNLOAD_STALL:-20}
shift 2

if [[ -t 2 ]]; then look=(--progress-bar); else look=(--silent); fi

part_size() {
	stat -c %s -- "$part" 2>/dev/null || echo 0
}

# ask ARGUMENT...: run curl; sets $code and $length from the server's answer, and $reason if it failed
ask() {
	local answer status=0
	answer=$(curl --fail --location --connect-timeout 10 \
		--write-out '%{http_code}|%header{content-length}|%{errormsg}' "$@") || status=$?
	IFS='|' read -r code length reason <<<"$answer"
	return "$status"
}

# announce URL: print what will be downloaded. Fails if nobody answers; a server that only refuses HEAD (curl's status
# 22) may still have the file.
announce() {
	local status=0 size=''
	ask --silent --head --max-time "$((stall + 10))" --output /dev/null "$1" || status=$?
	((status == 0 || status == 22)) || return "$status"
	((status == 22)) || [[ ! $length =~ ^[1-9][0-9]*$ ]] || size=" ($((length / 1000000)) MB)"
	note "downloading $name$size from ${1%/*}/"
}

# get URL: complete $part, resuming at its end. A broken transfer is resumed as long as it makes progress.
get() {
	local before status try
	for ((try = 1; try <= 20; try++)); do
		before=$(part_size)
		((before == 0)) || resumed=true
		status=0
		ask "${look[@]}" --speed-limit 1000 --speed-time "$stall" --continue-at - --output "$part" "$1" || status=$?
		if ((status == 33)) || [[ $code == 416 ]]; then
			# This server sends no ranges, or $part has no bytes left to get: unless it is complete, start again.
			if has_hash "$part" "$sha256"; then return 0; fi
			rm -f -- "$part"
			resumed=false
			continue
		fi
		case $status in
		0) return 0 ;;
		23)
			die "$part could not be written ($reason): make room on the disk or give another folder with BUILD=," \
				"then try again."
			;;
		esac
		(($(part_size) > before)) || return 1
		note "the transfer broke ($reason): resuming"
	done
	return 1
}

# get_right URL: complete $part and check its hash. The start of a resumed file may come from another file, so one that
# turns out wrong is downloaded again from the first byte.
get_right() {
	resumed=false
	get "$1" || return 1
	if $resumed && ! has_hash "$part" "$sha256"; then
		note "the resumed $name is not right: downloading it again from the start"
		rm -f -- "$part"
		get "$1" || return 1
	fi
	require_hash "$part" "$sha256" "$1"
}

mkdir -p -- "${file%/*}"
first_reason=''
for url in "$@"; do
	if announce "$url" && get_right "$url"; then
		mv -- "$part" "$file"
		exit 0
	fi
	: "${first_reason:=$url: $reason}"
done

others=$(($# - 1))
echo "$first_reason$( ((others < 1)) || echo ", and nothing from $others more addresses")"
exit "$UNREACHABLE"
