#!/bin/sh
# sysroot.sh -- the libraries of another processor, unpacked into a folder.
#   tests/sysroot.sh ARCHITECTURE FOLDER
# Debian's packages of that architecture, by lists of their own: the system itself learns of no
# other architecture, and nothing is installed.
set -eu

architecture=$1 folder=$2
packages="libbearssl-dev liblmdb-dev libjansson-dev zlib1g-dev libcmocka-dev libcmocka0
	libbearssl0 liblmdb0 libjansson4 zlib1g libc6 libgcc-s1"

rm -rf "$folder"
mkdir -p "$folder/apt/lists/partial" "$folder/apt/cache/archives/partial" "$folder/apt/packages"
folder=$(cd "$folder" && pwd)
: >"$folder/apt/status"

apt() {
	apt-get -q -q -o APT::Architecture="$architecture" -o APT::Architectures="$architecture" \
		-o Dir::State::Lists="$folder/apt/lists" -o Dir::State::status="$folder/apt/status" \
		-o Dir::Cache="$folder/apt/cache" -o APT::Sandbox::User=root "$@"
}

# A mirror in the middle of its own update lacks a list or two, seldom one that is needed.
apt update || echo "sysroot.sh: some lists are missing" >&2
cd "$folder/apt/packages"
apt download $packages
for package in *.deb; do
	dpkg-deb -x "$package" "$folder"
done
rm -rf "$folder/apt"
touch "$folder/done"
