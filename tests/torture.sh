#!/bin/bash
# torture.sh -- the long forms of the tests that draw, one after the other, and a summary.
#   tests/torture.sh UNITS BINARY FUZZERS
# TIME is what all take together, in seconds, in equal parts; a step that has a least to do takes
# longer. SEED names the first seed: a failure prints its own. ONLY names the steps to take.
set -uo pipefail

units=$1
python=${PYTHON:-/usr/bin/python3}
steps=(
	"power $units/test_power"
	"faults $units/test_faults"
	"lives $units/test_lives"
	"simulate build/release/tests/test_simulate"
	"crash $python -m pytest -q -s tests/test_crash.py"
	"linear $python -m pytest -q -s tests/test_linear.py"
	"long $python -m pytest -q -s tests/test_long.py"
	"alike $python bench/alike"
	"delays $python -m pytest -q -s tests/test_baskets.py -k slow_work"
	"hostile $python -m pytest -q -s tests/test_hostile.py"
	"front tests/afl.sh $3/fuzz_front"
	"valgrind ${MAKE:-make} DEPS=off valgrind LONG=1"
)
# What of a step's log the summary repeats.
told='(^|\.)(crash|linear|long|hostile|front|delay|seed).*|^(cookie|Session-Id): .*|.* errors( .*)?$'
told+='|^(supervisor|writer|front|hasher) .*|^fault: .*|^[0-9]+ (tests?|faults?) .*|[0-9]+ passed.*'
export SIDECART_BIN=$2 SEED=${SEED:-$(date +%s)} TORTURE_S=$((${TIME:-600} / ${#steps[@]}))
mkdir -p build/log
summary=build/log/torture
: >$summary
status=0

for step in "${steps[@]}"; do
	read -r name command <<<"$step"
	log=build/log/torture-$name
	[[ " ${ONLY:-$name} " == *" $name "* ]] || continue
	echo "== $name, $TORTURE_S s, seed $SEED"
	begun=$SECONDS
	if $command >"$log" 2>&1 </dev/null; then
		{ echo "$name: passed, $((SECONDS - begun)) s"
		  grep -aoE "$told" "$log" | tail -n 70 | sed 's/^\.*/  /'; } >>$summary
	else
		status=1
		tail -n 50 "$log"
		echo "$name: FAILED, SEED=$SEED: see $log" >>$summary
	fi
done
cat $summary
exit $status
