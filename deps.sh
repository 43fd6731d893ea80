#!/bin/sh
# deps.sh -- installs the Debian packages that a target of the Makefile needs, and for its tests an
#   OCAPI client out of npm's registry.
#   ./deps.sh GROUP...      groups: build run test check cross fuzz torture bench
# Touches nothing, and needs no network, where all of them are there.
set -eu

# group  package  why
packages() {
	cat <<-END
	build gcc libc6-dev              : C compiler and the C library to link statically
	build libbearssl-dev             : SHA-1, SHA-256, PBKDF2, ChaCha20-Poly1305
	build liblmdb-dev                : the embedded store
	build libjansson-dev             : JSON request bodies
	build zlib1g-dev                 : sessions that import oscar reads
	run   curl                       : the demo's example lines
	test  libcmocka-dev              : unit tests
	test  python3-pytest python3-pytest-xdist : end-to-end tests, some at a time
	test  nginx-light caddy haproxy  : end-to-end tests of the proxies in deploy/
	test  python3-yaml               : reads deploy/traefik.yml and deploy/envoy.yaml
	test  python3-django             : end-to-end tests of contrib/django
	test  chromium chromium-driver   : end-to-end tests of cookies in a real browser
	test  python3-jsonschema         : end-to-end tests of documents (OpenAPI, OCAPI)
	test  prometheus                 : promtool, which judges /metrics
	test  python3-lmdb               : end-to-end tests that look into the store
	test  python3-cryptography       : end-to-end tests that open what is sealed
	test  openssl                    : end-to-end tests of TLS: keys, certificates, a client
	test  strace systemd             : end-to-end tests of deploy/sidecart.service
	test  debootstrap                : end-to-end tests of the Debian package
	test  skopeo umoci               : end-to-end tests of the image for containers
	test  nodejs npm                 : end-to-end tests with an OCAPI client
	check systemd                    : judges the systemd units
	check clang                      : second compiler, other warnings
	check clang-tidy cppcheck        : static analysis
	check clang-format               : advice on layout
	check mandoc                     : lint of the man page
	check valgrind                   : no branch depends on a secret
	cross gcc-aarch64-linux-gnu libc6-dev-arm64-cross : compiler for arm64
	cross gcc-arm-linux-gnueabihf libc6-dev-armhf-cross : compiler for armhf
	cross qemu-user-static           : runs the tests of both
	fuzz  clang libclang-rt-14-dev   : libFuzzer
	torture afl++ clang              : fuzzing of a whole front
	torture valgrind                 : end-to-end tests under it
	bench wrk python3                : load, and what drives it
	bench nginx-light libnginx-mod-http-lua lua-nginx-redis : what bench/peers measures against
	bench gnuplot-nox                : draws docs/bench.png
	bench memcached redis-server nodejs npm : the same
	END
}

[ $# -gt 0 ] || { sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 100; }

# Lines `package : why` of the groups asked for.
wanted=$(packages | awk -v groups=" $* " -F ' *: ' '
	{ n = split($1, word, " ") }
	index(groups, " " word[1] " ") { for (i = 2; i <= n; i++) print word[i] " : " $2 }')
[ -n "$wanted" ] || { echo "deps.sh: no such group: $*" >&2; exit 100; }

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	echo "This is no Debian system: nothing was installed. What is needed, by its Debian name:"
	echo "$wanted" | sed 's/^/  /'
	echo "Install these your system's way, then run make with DEPS=off."
	exit 1
fi

# Node.js from elsewhere than Debian brings its npm along.
is_there() {
	state=$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null || :)
	[ "$state" = installed ] || { [ "$1" = npm ] && command -v npm >/dev/null; }
}

# The versions that tests/ocapi/package-lock.json names, and no script of theirs is run.
client=$(dirname "$0")/tests/ocapi
install_client() {
	case " $* " in *" test "*) ;; *) return 0 ;; esac
	[ "$client/node_modules/.package-lock.json" -nt "$client/package-lock.json" ] && return
	echo "The OCAPI client of the tests is missing and will be installed with npm."
	npm ci --ignore-scripts --prefer-offline --no-audit --no-fund --silent --prefix "$client"
}

missing=$(echo "$wanted" | while IFS= read -r line; do
	is_there "${line%% *}" || echo "$line"
done)
[ -n "$missing" ] || { install_client "$@"; exit; }

echo "These packages are missing and will be installed with apt-get:"
echo "$missing" | sed 's/^/  /'
names=$(echo "$missing" | sed 's/ .*//' | sort -u)

as_root=
if [ "$(id -u)" -ne 0 ]; then
	command -v sudo >/dev/null || {
		echo "Neither root nor sudo: run  apt-get install $(echo $names)  as root, then make again."
		exit 1
	}
	as_root=sudo
	echo "sudo may ask for your password."
fi

# What is needed may be in the lists that did come.
$as_root apt-get update -qq || echo "deps.sh: apt-get update failed in part: going on" >&2
# shellcheck disable=SC2086 # one word a package
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $names
install_client "$@"
