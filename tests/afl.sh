#!/bin/bash
# afl.sh -- runs a fuzz target under AFL++, for TORTURE_S seconds.
#   tests/afl.sh FUZZER
# It begins with tests/seeds/NAME and with what it found before, in build/afl-NAME; what inputs
# are made of says tests/NAME.dict. An input that breaks a property is printed, and kept in
# build/crashes. Sanitizers are left to tests/fuzz.sh: without them there is time for more inputs.
set -uo pipefail

name=${1##*/fuzz_}
seconds=${TORTURE_S:-60}
found=build/afl-$name
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
mkdir -p "$found" build/crashes
rm -f build/crashes/"$name"-afl-*

# A seed that breaks a property is none to AFL++.
TMPDIR=$temporary timeout 60 "$1" "tests/seeds/$name"/* >"$found/log" 2>&1 </dev/null ||
	{ echo "of tests/seeds/$name:" && tail -n 40 "$found/log"; exit 1; }

from=tests/seeds/$name
[ ! -e "$found/default/fuzzer_stats" ] || from=-
TMPDIR=$temporary AFL_NO_UI=1 AFL_QUIET=1 AFL_SKIP_CPUFREQ=1 AFL_NO_AFFINITY=1 \
	AFL_FAST_CAL=1 AFL_DISABLE_TRIM=1 \
	AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_AUTORESUME=1 \
	afl-fuzz -i "$from" -o "$found" -x "tests/$name.dict" -m none -t 60000 -V "$seconds" -- "$1" \
	>"$found/log" 2>&1 </dev/null || { tail -n 40 "$found/log"; exit 1; }
awk -v name="$name" '
$1 == "execs_done"   { runs = $3 }
$1 == "edges_found"  { edges = $3 }
$1 == "corpus_count" { kept = $3 }
END { printf "%s: %d runs, %d edges, corpus %d\n", name, runs, edges, kept; exit runs == 0 }
' "$found/default/fuzzer_stats" || exit 1

bad=0
for input in "$found"/default/{crashes,hangs}/id*; do
	[ -e "$input" ] || continue
	kept=build/crashes/$name-afl-$((++bad))
	mv "$input" "$kept"
	echo "$kept:" && od -A d -t x1z "$kept" | head -n 300
	TMPDIR=$temporary timeout 60 "$1" "$kept" 2>&1 | tail -n 40
done
[ $bad = 0 ]
