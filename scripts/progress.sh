# shellcheck shell=bash
# run_logged, which shows a long build as one line. Sourced after lib.sh.

# duration SECONDS: print it in words, such as "2 min 5 s"
duration() {
	if (($1 < 60)); then echo "$1 s"; else echo "$(($1 / 60)) min $(($1 % 60)) s"; fi
}

# run_logged LABEL LOG COMMAND...: run COMMAND with its output in LOG, and show only its progress. It gets a process
# group of its own, so that ending this script, by Ctrl-C or a signal, ends the whole build at once.
run_logged() {
	local label=$1 log=$2 pid started=$SECONDS status=0 objects elapsed next=30
	shift 2

	set -m
	"$@" >"$log" 2>&1 </dev/null &
	pid=$!
	set +m
	# shellcheck disable=SC2064 # expand $pid now
	trap "kill -TERM -- -$pid 2>/dev/null; wait $pid; exit 130" INT TERM HUP

	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.5
		elapsed=$((SECONDS - started))
		objects=$(grep -cE '^  (CC|AS) ' "$log" || true)
		if [[ -t 2 ]]; then
			printf '\r\033[K%s: %s objects, %s' "$label" "$objects" "$(duration "$elapsed")" >&2
		elif ((elapsed >= next)); then
			note "$label: $objects objects, $(duration "$elapsed")"
			next=$((elapsed + 30))
		fi
	done
	wait "$pid" || status=$?
	trap - INT TERM HUP

	[[ ! -t 2 ]] || printf '\r\033[K' >&2
	objects=$(grep -cE '^  (CC|AS) ' "$log" || true)
	note "$label: $objects objects, $(duration $((SECONDS - started)))"
	return "$status"
}
