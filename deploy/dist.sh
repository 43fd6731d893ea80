#!/bin/sh
# dist.sh -- what a release consists of, in build/dist/: the source, the binary with all that
# `make install` copies, the Debian package, the image for containers, what the binary holds
# (SPDX; not for other processors), and a checksum of each.
#   deploy/dist.sh VERSION ARCHITECTURE PACKAGE IMAGE
# The same commit gives the same bytes (SOURCE_DATE_EPOCH). Archives of other processors stay.
set -eu

version=$1 architecture=$2 package=$3 image=$4
name=sidecart-$version
out=build/dist

archive() { # FILE FOLDER...
	file=$1
	shift
	tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
		--mode=go-w,a+rX -c "$@" | gzip -9n >"$out/$file"
}

mkdir -p "$out"
git archive --prefix="$name/" HEAD | gzip -9n >"$out/$name.tar.gz"
root=build/dist-root
rm -rf "$root"
mkdir -p "$root"
${MAKE:-make} -s install DESTDIR="$root/$name-$architecture" PREFIX=/usr/local ${CROSS:+CROSS=$CROSS}
archive "$name-$architecture.tar.gz" -C "$root" "$name-$architecture"
rm -rf "$root"
cp "$package" "$image" "$out/"
[ -n "${CROSS:-}" ] || cp build/sidecart.spdx.json "$out/$name-$architecture.spdx.json"
cd "$out"
for file in *.tar.gz *.deb *.oci.tar *.spdx.json; do
	[ -e "$file" ] || continue
	sha256sum "$file" >"$file.sha256"
done
ls
