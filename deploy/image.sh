#!/bin/sh
# image.sh -- an OCI image of one binary and nothing else, as an archive (image-layout.md and
# config.md of the OCI image specification 1.0).
#   deploy/image.sh BINARY VERSION ARCHITECTURE COMMIT OUTPUT
# BINARY is stripped already; ARCHITECTURE is Debian's name. The same binary gives the same bytes
# (SOURCE_DATE_EPOCH). Healthcheck is Docker's: others pass over it.
set -eu

binary=$1 version=$2 architecture=$3 commit=$4 output=$5
id=65532                # of the account: no other image or host gives it to anybody
created=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
case $architecture in
armhf) platform='"architecture": "arm", "variant": "v7", "os": "linux"' ;;
*) platform="\"architecture\": \"$architecture\", \"os\": \"linux\"" ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root blobs=$work/image/blobs/sha256
mkdir -p "$root/usr/bin" "$root/usr/share/doc/sidecart" "$root/etc" "$root/var/lib/sidecart" "$blobs"
install -m 755 "$binary" "$root/usr/bin/sidecart"
install -m 644 LICENSE "$root/usr/share/doc/sidecart/copyright"
echo "sidecart:x:$id:$id:sidecart:/var/lib/sidecart:/usr/sbin/nologin" >"$root/etc/passwd"
echo "sidecart:x:$id:" >"$root/etc/group"
chmod 700 "$root/var/lib/sidecart"

pack() { # OWNER TAR-OPTION...
	owner=$1
	shift
	tar --sort=name --format=ustar --mtime="@$SOURCE_DATE_EPOCH" --owner="$owner" --group="$owner" \
		--numeric-owner --mode=go-w,a+rX "$@"
}

# Keeps a file under its digest, and says how it is described: `DIGEST", "size": SIZE`.
keep() {
	digest=$(sha256sum "$1" | cut -d ' ' -f 1)
	size=$(wc -c <"$1")
	mv "$1" "$blobs/$digest"
	printf 'sha256:%s", "size": %d' "$digest" "$size"
}

pack 0 -C "$root" -cf "$work/layer.tar" --no-recursion \
	etc etc/group etc/passwd usr usr/bin usr/bin/sidecart usr/share usr/share/doc \
	usr/share/doc/sidecart usr/share/doc/sidecart/copyright var var/lib
pack "$id" -C "$root" -rf "$work/layer.tar" --mode=700 --no-recursion var/lib/sidecart
diff_id=$(sha256sum "$work/layer.tar" | cut -d ' ' -f 1)
gzip -9n "$work/layer.tar"
layer=$(keep "$work/layer.tar.gz")

labels=$(cat <<END
"org.opencontainers.image.title": "sidecart",
      "org.opencontainers.image.description": "Sessions, baskets and tokens of a headless shop",
      "org.opencontainers.image.version": "$version",
      "org.opencontainers.image.revision": "$commit",
      "org.opencontainers.image.created": "$created",
      "org.opencontainers.image.licenses": "MIT"
END
)
cat >"$work/config" <<END
{
  "created": "$created", $platform,
  "config": {
    "User": "$id:$id",
    "ExposedPorts": { "8080/tcp": {} },
    "Env": ["PATH=/usr/bin", "SIDECART_LISTEN=0.0.0.0:8080"],
    "Entrypoint": ["/usr/bin/sidecart"],
    "Cmd": ["serve"],
    "Volumes": { "/var/lib/sidecart": {} },
    "WorkingDir": "/var/lib/sidecart",
    "StopSignal": "SIGTERM",
    "Labels": {
      $labels
    },
    "Healthcheck": {
      "Test": ["CMD", "/usr/bin/sidecart", "ping"],
      "Interval": 30000000000, "Timeout": 5000000000, "StartPeriod": 10000000000, "Retries": 3
    }
  },
  "rootfs": { "type": "layers", "diff_ids": ["sha256:$diff_id"] },
  "history": [{ "created": "$created", "created_by": "make image" }]
}
END
config=$(keep "$work/config")
cat >"$work/manifest" <<END
{
  "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
  "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": "$config },
  "layers": [
    { "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": "$layer }
  ]
}
END
manifest=$(keep "$work/manifest")
cat >"$work/image/index.json" <<END
{
  "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
  "manifests": [
    {
      "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "$manifest,
      "platform": { $platform },
      "annotations": { "org.opencontainers.image.ref.name": "sidecart:$version" }
    }
  ]
}
END
echo '{ "imageLayoutVersion": "1.0.0" }' >"$work/image/oci-layout"
pack 0 -C "$work/image" -cf "$output" blobs index.json oci-layout
