#!/bin/sh
# Fetches the signature vectors of OpenSSH's own unit tests (regress/unittests/sshsig/testdata) into the directory DEST.
# They come out of Debian's source package, through the machine's own apt: its mirror, its keys, its digests. The
# machine's package lists and caches stay as they are. Nothing is done when DEST holds the vectors already.
#
#   fetch-openssh-vectors.sh DEST
set -eu

[ $# -eq 1 ] || { echo "usage: $0 DEST" >&2; exit 64; }
dest=$1
[ ! -f "$dest/signed-data" ] || exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/source"

# The first suite of Debian's own archive this machine takes binary packages from serves the sources too.
apt-get indextargets --format '$(ORIGIN)|$(COMPONENT)|$(TARGET_OF)|$(REPO_URI)|$(RELEASE)' 'Created-By: Packages' |
  awk -F'|' '$1 == "Debian" && $2 == "main" && $3 == "deb" { print $4, $5; exit }' >"$work/origin"
if [ ! -s "$work/origin" ]; then
  echo "$0: apt knows no Debian archive here; run 'apt-get update' first" >&2
  exit 1
fi
read -r uri suite <"$work/origin"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
if [ -f "$keyring" ]; then options="[signed-by=$keyring] "; else options=; fi
echo "deb-src $options$uri $suite main" >"$work/sources.list"

private_apt() {
  apt-get -q -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=- \
    -o "Dir::State::Lists=$work/lists" -o "Dir::Cache::Archives=$work/archives" \
    -o Dir::Cache::PkgCache= -o Dir::Cache::SrcPkgCache= -o APT::Sandbox::User=root "$@"
}
private_apt update >&2
(cd "$work/source" && private_apt source --download-only openssh >&2)

mkdir "$work/testdata"
tar -x -f "$work"/source/openssh_*.orig.tar.gz -C "$work/testdata" --strip-components=5 --wildcards \
  '*/regress/unittests/sshsig/testdata/*'
[ -f "$work/testdata/signed-data" ]
mkdir -p "$(dirname "$dest")"
rm -rf "$dest"
mv "$work/testdata" "$dest"
chmod 755 "$dest"
echo "OpenSSH's vectors are in $dest" >&2
