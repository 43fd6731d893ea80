#!/bin/bash
# run.sh -- runs steps one by one, whatever becomes of them, and prints the total last.
#   tests/run.sh NAME STEP...
# A step is a target of the Makefile. What cmocka and pytest say they ran is counted; a step
# that says nothing counts as one. The total is left in build/NAME.total too.
set -uo pipefail

name=$1
shift
mkdir -p build/log
: >build/log/totals

for step in "$@"; do
	echo "== $step"
	log=build/log/${step//\//-}.log
	start_s=$SECONDS
	${MAKE:-make} "$step" 2>&1 | tee "$log"
	awk -v status=$? '
	/^\[  PASSED  \] [0-9]+ test/  { passed += $4 }
	/^\[  FAILED  \] [0-9]+ test/  { failed += $4 }
	/^\[  SKIPPED \] [0-9]+ test/  { skipped += $4 }
	/^[0-9=].* in [0-9.]+s/ {
		for (i = 2; i <= NF; i++) {
			if ($i ~ /^passed/)           passed += $(i - 1)
			if ($i ~ /^(failed|errors?)/) failed += $(i - 1)
			if ($i ~ /^skipped/)          skipped += $(i - 1)
		}
	}
	END {
		if (status != 0 && failed == 0)
			failed++
		if (status == 0 && passed + failed + skipped == 0)
			passed++
		print passed + 0, failed + 0, skipped + 0
	}' "$log" >>build/log/totals
	echo "-- $step took $((SECONDS - start_s)) s"
done

awk '
{ passed += $1; failed += $2; skipped += $3 }
END {
	printf "%d passed, %d failed", passed, failed
	if (skipped)
		printf ", %d skipped", skipped
	print ""
	exit failed > 0 || passed == 0
}' build/log/totals | tee "build/$name.total"
