#!/usr/bin/env bash
# Usage: scripts/configure.sh TREE OBJ
#
# Configures the kernel tree TREE for the lab, in OBJ: tinyconfig plus kernel/lab.config, and with JUDGES=1
# kernel/judges.config too. Fails and names the options that are asked for there but missing from the result. An
# OBJ/.config made from the same files is kept.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

tree=$1 obj=$2
readonly log=$2/lab.config.log
mapfile -t names < <(kernel_options)
readonly names fragments=("${names[@]/#/$ROOT/kernel/}")

# A hash of all that the configuration depends on, including the kernel's version
made_from=$(cat "${fragments[@]}" "$ROOT/kernel/Kconfig" "$tree/Makefile" | sha256sum)

mkdir -p -- "$obj"
if [[ ! -f $obj/.config || $(cat "$obj/.config.made_from" 2>/dev/null) != "$made_from" ]]; then
	# merge_config.sh cannot read a path with spaces. Its warnings that lab.config overrides tinyconfig are expected;
	# options that got lost are found below.
	cp -- "${fragments[@]}" "$obj/"
	{
		rm -f -- "$obj/.config.made_from" &&
			kbuild "$tree" "$obj" -s tinyconfig &&
			(cd "$obj" && "$tree/scripts/kconfig/merge_config.sh" -m -O "$obj" .config "${names[@]}") &&
			kbuild "$tree" "$obj" -s olddefconfig
	} >"$log" 2>&1 </dev/null || {
		tail -n 20 "$log" >&2
		die "the kernel could not be configured: see above, and the whole log $log."
	}
fi

# wanted MARKED: the options above (0) or below (1) the "# Optional" mark of their file
wanted() {
	awk -v marked="$1" 'FNR == 1 { below = 0 } /^# Optional/ { below = 1 } /^CONFIG_/ && below == marked' \
		"${fragments[@]}"
}

# missing_lines: the lines of standard input that are not in .config
missing_lines() {
	grep -Fxv -f "$obj/.config" || true
}

# in_tree LINE...: those of options that this kernel tree has at all. find fails where grep finds none in some files.
in_tree() {
	(($# > 0)) || return 0
	local asked=("${@%%=*}") known line
	known=$(IFS='|' && find -L "$tree" -name 'Kconfig*' -exec \
		grep -hoE "^[[:space:]]*(menu)?config (${asked[*]#CONFIG_})\$" {} + | awk '{ print "CONFIG_" $2 }') || true
	for line in "$@"; do
		[[ $'\n'$known$'\n' != *$'\n'"${line%%=*}"$'\n'* ]] || printf '%s\n' "$line"
	done
}

mapfile -t missing < <(wanted 0 | missing_lines)
mapfile -t optional < <(wanted 1 | missing_lines)
mapfile -t -O "${#missing[@]}" missing < <(in_tree "${optional[@]}")

((${#missing[@]} == 0)) ||
	die "the kernel's configuration $obj/.config lacks ${missing[*]} of kernel/$(kernel_options | paste -sd +):" \
		"look up there what these options depend on in this kernel, and add that."

echo "$made_from" >"$obj/.config.made_from"
