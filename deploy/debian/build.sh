#!/bin/sh
# build.sh -- makes a Debian package of what `make install` put into a folder.
#   deploy/debian/build.sh ROOT VERSION ARCHITECTURE OUTPUT
# The same folder gives the same bytes: owners, order and times are fixed (SOURCE_DATE_EPOCH).
set -eu

root=$1 version=$2 architecture=$3 output=$4
here=$(dirname "$0")

mkdir -p "$root/DEBIAN" "$root/etc"
cp "$here/../sidecart.conf" "$root/etc/sidecart.conf"
gzip -9n "$root"/usr/share/man/man1/*.1
for name in postinst prerm postrm; do
	install -m 755 "$here/$name" "$root/DEBIAN/$name"
done
echo /etc/sidecart.conf >"$root/DEBIAN/conffiles"
size=$(du -sk --apparent-size --exclude=DEBIAN "$root" | cut -f1)
sed "s/@VERSION@/$version/; s/@ARCHITECTURE@/$architecture/; s/@SIZE@/$size/" \
	"$here/control" >"$root/DEBIAN/control"
(cd "$root" && find . -path ./DEBIAN -prune -o -type f -printf '%P\n' | LC_ALL=C sort |
	xargs md5sum) >"$root/DEBIAN/md5sums"
chmod -R u+w,go-w,a+rX "$root"
find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Zxz --build "$root" "$output" >/dev/null
