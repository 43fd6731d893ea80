#!/bin/bash
# torture.sh -- the long forms of the tests that draw, one after the other, and a summary.
#   tests/torture.sh UNITS BINARY
# TIME is what all take together, in seconds; SEED names the first seed: a failure prints its own.
set -uo pipefail

units=$1
export SIDECART_BIN=$2 SEED=${SEED:-$(date +%s)} TORTURE_S=$((${TIME:-600} / 4))
python=${PYTHON:-/usr/bin/python3}
mkdir -p build/log
summary=build/log/torture
: >$summary
status=0

step() {
	local name=$1 log=build/log/torture-$1
	shift
	echo "== $name, $TORTURE_S s, seed $SEED"
	if "$@" >"$log" 2>&1 </dev/null; then
		{ echo "$name: passed"; grep -E '^(seed|crash:|linear:|writer|front|[0-9]+ faults)' \
		  "$log" | tail -n 50 | sed 's/^/  /'; } >>$summary
	else
		status=1
		tail -n 50 "$log"
		echo "$name: FAILED, SEED=$SEED: see $log" >>$summary
	fi
}

step power "$units"/test_power
step faults "$units"/test_faults
step crash "$python" -m pytest -q -s tests/test_crash.py
step linear "$python" -m pytest -q -s tests/test_linear.py
cat $summary
exit $status
