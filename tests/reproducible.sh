#!/bin/sh
# reproducible.sh -- two builds of one commit, in folders of different names, are equal byte for
# byte: the binary and the Debian package.
#   tests/reproducible.sh COMMIT
set -eu

commit=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The time of the commit stands in for a clock: it is in the environment (SOURCE_DATE_EPOCH).
for place in one another/place/altogether; do
	mkdir -p "$work/$place"
	git archive "$commit" | tar -x -C "$work/$place"
	(umask $([ $place = one ] && echo 022 || echo 027)
	 ${MAKE:-make} -s -C "$work/$place" COMMIT="$commit" O=build/release deb >/dev/null)
done
first=$work/one second=$work/another/place/altogether
cmp "$first/build/sidecart" "$second/build/sidecart"
for package in "$first"/build/*.deb; do
	cmp "$package" "$second/build/${package##*/}"
done
if grep -aq "$work" "$first/build/sidecart"; then
	echo "the binary names the folder that it was built in" >&2
	exit 1
fi
echo "equal: $(sha256sum <"$first/build/sidecart" | cut -c1-16) sidecart"
