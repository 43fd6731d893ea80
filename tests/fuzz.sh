#!/bin/bash
# fuzz.sh -- runs libFuzzer targets, two at a time: a line for each, and a total.
#   tests/fuzz.sh SECONDS FUZZER...
# Each begins with tests/seeds/NAME and with what it found before, which build/corpus/NAME keeps.
# An input that breaks a property is printed, and kept in build/crashes.
set -uo pipefail

seconds=$1
shift
targets=("$@")
mkdir -p build/log build/crashes
TMPDIR=$(mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT

# What is said of a target; false where an input broke it.
fuzz() {
	local name=${1##*/fuzz_} log crash bad=0
	log=build/log/fuzz-$name
	crash=build/crashes/$name-
	mkdir -p "build/corpus/$name"
	rm -f "$crash"*
	"$1" -max_total_time="$seconds" -timeout=60 -artifact_prefix="$crash" -print_final_stats=1 \
		"build/corpus/$name" "tests/seeds/$name" >"$log" 2>&1 </dev/null || bad=1
	awk -v name="$name" '
	/^#[0-9]+[ \t]+DONE/             { edges = $4; features = $6; kept = $8 }
	/^stat::number_of_executed_unit/ { runs = $2 }
	/^stat::average_exec_per_sec/    { rate = $2 }
	END {
		printf "%-8s %8d runs, %6d a second, %5d edges, %6d features, corpus %s\n",
		       name, runs, rate, edges, features, kept
	}' "$log"
	[ $bad = 1 ] || return 0
	grep -vE '^#[0-9]+[ \t]' "$log" | tail -n 60
	for input in "$crash"*; do
		[ ! -e "$input" ] || { echo "$input:" && od -A d -t x1z "$input" | head -n 300; }
	done
	return 1
}

# Every second target, from the first or the second on; how many of them failed.
lane() {
	local bad=0 i
	for ((i = $1; i < ${#targets[@]}; i += 2)); do
		fuzz "${targets[i]}" || bad=$((bad + 1))
	done
	return $bad
}

lane 0 &
lane 1
bad=$?
wait $!
bad=$((bad + $?))
[ "$bad" = 0 ] || echo "[  FAILED  ] $bad test(s), targets of libFuzzer"
echo "[  PASSED  ] $((${#targets[@]} - bad)) test(s), targets of libFuzzer"
[ "$bad" = 0 ]
