#!/bin/bash
# end-to-end.sh -- tests/test_*.py on one binary, three files at a time: most of it is waiting.
#   tests/end-to-end.sh BINARY [NAME...]    of tests/test_NAME.py; else all
set -uo pipefail

export SIDECART_BIN=$1
shift
log=build/log/pytest-end-to-end${1:+-some}.xml
# The files that take longest go first; pytest takes each file once.
files=(tests/test_{package,command,process,session,tls}.py tests)
if [ $# -gt 0 ]; then
	files=("${@/#/tests/test_}")
	files=("${files[@]/%/.py}")
fi
"${PYTHON:-/usr/bin/python3}" -m pytest -q -n 3 --dist loadfile --junitxml="$log" "${files[@]}"
