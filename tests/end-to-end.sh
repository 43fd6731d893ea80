#!/bin/bash
# end-to-end.sh -- tests/test_*.py on one binary, in two halves side by side.
#   tests/end-to-end.sh BINARY
# The halves take about as long as each other: most of it is waiting.
set -uo pipefail
shopt -s extglob

python=${PYTHON:-/usr/bin/python3}
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
export SIDECART_BIN=$1

half() {
	"$python" -m pytest -q --junitxml="build/log/pytest-$1.xml" "${@:2}" >"$logs/$1" 2>&1
}

half other tests/test_!(session|http|gateway).py &
half session tests/test_session.py tests/test_http.py tests/test_gateway.py
status=$?
wait $! || status=1
cat "$logs/session" "$logs/other"
exit $status
