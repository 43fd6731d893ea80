#!/bin/sh
# sbom.sh -- writes what a static binary holds, as SPDX 2.3 in JSON.
#   deploy/sbom.sh MAP BINARY VERSION COMMIT ARCHITECTURE
# MAP is the linker's map of that binary: each archive and object that has bytes in it is looked
# up in dpkg's database, so that nothing is listed by hand but licences. A package whose licence
# nobody has looked up yet is a failure. The same binary gives the same bytes (SOURCE_DATE_EPOCH).
set -eu

map=$1 binary=$2 version=$3 commit=$4 architecture=$5

# By source package; what Debian's copyright file says, by SPDX's names.
licence() {
	case $1 in
	bearssl) echo MIT ;;
	lmdb)    echo OLDAP-2.8 ;;
	jansson) echo MIT ;;
	zlib)    echo Zlib ;;
	glibc)   echo LGPL-2.1-or-later ;;
	gcc-*)   echo GPL-3.0-or-later WITH GCC-exception-3.1 ;;
	*)       echo "sbom.sh: the licence of $1 is not known here" >&2; return 1 ;;
	esac
}

# Files of other people whose bytes are in the binary: sections with an address and a size. A
# name too long for its column has them in the next line. build/*/lib holds copies of archives.
linked() {
	awk '
	/^Linker script and memory map/ { on = 1 }
	!on           { next }
	/^ [.*][^ ]*$/ { getline rest; $0 = $0 rest }
	/^ [.A-Z][^ ]* +0x[0-9a-f]+ +0x[0-9a-f]+ [^ ]/ {
		if ($2 !~ /^0x0+$/ && $3 != "0x0") {
			file = $4
			sub(/\([^()]*\)$/, "", file)
			print file
		}
	}' "$map" | sort -u | while read -r file; do
		case $file in
		build/*/lib/*) ${CC:-gcc} -print-file-name="${file##*/}" ;;
		build/*)       ;;
		*)             echo "$file" ;;
		esac
	done | xargs -r readlink -f | sort -u
}

# Lines `package:architecture file`.
owned() {
	linked | while read -r file; do
		owner=$(dpkg-query -S "$file" 2>/dev/null | sed -n '1s/: .*//p')
		[ -n "$owner" ] || { echo "sbom.sh: $file is of no package" >&2; exit 1; }
		echo "$owner $file"
	done
}

# A version as a package URL has it.
escaped() {
	printf %s "$1" | sed 's/%/%25/g; s/:/%3A/g; s/+/%2B/g; s/~/~/g'
}

sha256() {
	sha256sum "$1" | cut -c 1-64
}

package() { # NAME:ARCHITECTURE
	field() { dpkg-query -W -f "\${$1}" "$name"; }
	name=$1
	source=$(field source:Package) its=$(field Version)
	its_licence=$(licence "$source")
	# shellcheck disable=SC1091 # what system this is
	distribution=$(. /etc/os-release && echo "$ID-${VERSION_ID:-unknown}")
	files=$(sed -n "s/^$name //p" "$list")
	# Of several the largest, an archive: the others are a few objects that start a program.
	# shellcheck disable=SC2086 # no blank in a name
	digest=$(sha256 "$(ls -S $files | sed -n 1p)")
	name=${name%:*}
	cat <<-END
	    {
	      "SPDXID": "SPDXRef-$name",
	      "name": "$name",
	      "versionInfo": "$its",
	      "supplier": "Organization: Debian",
	      "originator": "NOASSERTION",
	      "downloadLocation": "NOASSERTION",
	      "homepage": "$(field Homepage)",
	      "filesAnalyzed": false,
	      "checksums": [{ "algorithm": "SHA256", "checksumValue": "$digest" }],
	      "sourceInfo": "source package $source $(field source:Version); linked: $(echo $files)",
	      "licenseConcluded": "$its_licence",
	      "licenseDeclared": "$its_licence",
	      "copyrightText": "NOASSERTION",
	      "primaryPackagePurpose": "LIBRARY",
	      "externalRefs": [{
	        "referenceCategory": "PACKAGE-MANAGER",
	        "referenceType": "purl",
	        "referenceLocator": "pkg:deb/debian/$name@$(escaped "$its")?arch=$architecture&distro=$distribution"
	      }]
	    },
	END
}

list=$(mktemp)
trap 'rm -f "$list"' EXIT
owned >"$list"
names=$(cut -d ' ' -f 1 "$list" | sort -u)
digest=$(sha256 "$binary")
uuid=$(echo "$digest" | sed 's/^\(.\{8\}\)\(.\{4\}\).\(.\{3\}\).\(.\{3\}\)\(.\{12\}\).*/\1-\2-8\3-8\4-\5/')

cat <<END
{
  "spdxVersion": "SPDX-2.3",
  "dataLicense": "CC0-1.0",
  "SPDXID": "SPDXRef-DOCUMENT",
  "name": "sidecart-$version-$architecture",
  "documentNamespace": "urn:uuid:$uuid",
  "creationInfo": {
    "created": "$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)",
    "creators": ["Tool: sidecart-sbom.sh-$version", "Organization: the sidecart authors"]
  },
  "packages": [
$(for name in $names; do package "$name"; done)
    {
      "SPDXID": "SPDXRef-sidecart",
      "name": "sidecart",
      "versionInfo": "$version",
      "packageFileName": "sidecart",
      "supplier": "Organization: the sidecart authors",
      "downloadLocation": "NOASSERTION",
      "filesAnalyzed": false,
      "checksums": [{ "algorithm": "SHA256", "checksumValue": "$digest" }],
      "sourceInfo": "commit $commit",
      "licenseConcluded": "MIT",
      "licenseDeclared": "MIT",
      "copyrightText": "Copyright (c) 2026 the sidecart authors",
      "primaryPackagePurpose": "APPLICATION",
      "externalRefs": [{
        "referenceCategory": "PACKAGE-MANAGER",
        "referenceType": "purl",
        "referenceLocator": "pkg:generic/sidecart@$(escaped "$version")?arch=$architecture"
      }]
    }
  ],
  "relationships": [
$(for name in $names; do
	printf '    { "spdxElementId": "SPDXRef-sidecart", "relationshipType": "STATIC_LINK", '
	printf '"relatedSpdxElement": "SPDXRef-%s" },\n' "${name%:*}"
done)
    { "spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-sidecart" }
  ]
}
END
