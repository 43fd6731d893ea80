#!/bin/bash
# end-to-end.sh -- tests/test_*.py on one binary, three files at a time: most of it is waiting.
#   tests/end-to-end.sh BINARY
set -uo pipefail

# The files that take longest go first; pytest takes each file once.
SIDECART_BIN=$1 "${PYTHON:-/usr/bin/python3}" -m pytest -q -n 3 --dist loadfile \
	--junitxml=build/log/pytest-end-to-end.xml \
	tests/test_{package,command,process,session,tls}.py tests
