#!/bin/sh
# Puts the iptables and ipset programs of Debian 11, 12 and 13, each with its own libraries, into the directory DEST, for
# the tests that move a host from one release's programs to the next one's. No package is installed and nothing outside
# of DEST is touched: apt checks the signatures and works out what is needed, dpkg-deb only unpacks it.
#
#   install-userlands.sh DEST
#
# DEST/SUITE/sbin has xtables-nft-multi, xtables-legacy-multi, the programs that are links to them, and ipset. Nothing is done when they are there already.
set -eu

[ $# -eq 1 ] || { echo "usage: $0 DEST" >&2; exit 64; }
mirror=http://deb.debian.org/debian
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
mkdir -p "$1"
dest=$(cd "$1" && pwd)
architecture=$(dpkg --print-architecture)
needs="it needs the network, and $keyring of the package debian-archive-keyring"
# What another version of this script made, or what was moved, is made again.
made="$(cksum <"$0") $dest"

fail() {
  echo "error: $1" >&2
  echo "hint: $2" >&2
  exit 1
}

# All of apt's directories are below the suite's own.
apt() {
  apt-get -q -q -o Dir::State="$here/apt" -o Dir::State::status="$here/apt/status" -o Dir::Cache="$here/apt" \
    -o Dir::Etc="$here/apt/etc" -o Dir::Etc::sourcelist="$here/apt/sources.list" -o Dir::Etc::sourceparts=- \
    -o Dir::Log="$here/apt" -o APT::Architecture="$architecture" -o Acquire::Languages=none -o Acquire::Retries=3 \
    -o APT::Sandbox::User= -o Debug::NoLocking=1 "$@"
}

# $1: the program's path below the root. Under whatever name it is called, it is told that name.
wrap() {
  name=${1##*/}
  cat >"$here/sbin/$name" <<SCRIPT
#!/bin/sh
case \${0##*/} in
$name) ;;
*) set -- "\${0##*/}" "\$@" ;;
esac
XTABLES_LIBDIR=$dest/$suite/root$extensions
export XTABLES_LIBDIR
exec $dest/$suite/root$loader --library-path $libraries $dest/$suite/root$1 "\$@"
SCRIPT
  chmod 755 "$here/sbin/$name"
}

# The path of a file below the root.
find_one() {
  found=$(cd "$here/root" && find . "$@" | head -n 1)
  [ -n "$found" ] || fail "Debian $suite's packages are not laid out as expected: nothing is found by: find $*" \
    "look at $here/root, and mend $0"
  echo "${found#.}"
}

install() {
  suite=$1
  [ "$(cat "$dest/$suite/installed" 2>/dev/null)" != "$made" ] || return 0
  echo "fetching: iptables and ipset of Debian $suite"
  here=$dest/.$suite.new
  rm -rf "$here"
  mkdir -p "$here/apt/lists/partial" "$here/apt/archives/partial" "$here/apt/etc/preferences.d" "$here/root" "$here/sbin"
  : >"$here/apt/status"
  echo "deb [signed-by=$keyring] $mirror $suite main" >"$here/apt/sources.list"
  apt update || fail "Debian $suite's list of packages cannot be had from $mirror" \
    "$needs"
  apt --yes --download-only --no-install-recommends install iptables ipset ||
    fail "Debian $suite's iptables and ipset cannot be had from $mirror" "$needs"
  for package in "$here"/apt/archives/*.deb; do
    case ${package##*/} in
    # What programs of ours never load: apt only knows that packages want them.
    perl* | debconf* | netbase*) continue ;;
    esac
    dpkg-deb -x "$package" "$here/root" || fail "$package cannot be unpacked" "is the disk full? run this again"
  done
  rm -rf "$here/apt" "$here/root/usr/share"

  # Not a link to it, which leads out of here.
  loader=$(find_one -type f \( -name 'ld-linux*.so.*' -o -name 'ld-[0-9]*.so' \))
  extensions=$(find_one -type d -name xtables)
  libraries=$(cd "$here/root" && find . -path '*/lib*' -name '*.so.*' -printf '%h\n' | sort -u |
    sed "s|^\.|$dest/$suite/root|" | paste -s -d :)
  for backend in nft legacy; do
    program=$(find_one -type f -name "xtables-$backend-multi")
    wrap "$program"
    for family in iptables ip6tables; do
      for suffix in '' -restore -save; do
        ln -s "xtables-$backend-multi" "$here/sbin/$family-$backend$suffix"
      done
    done
  done
  program=$(find_one -type f -path '*sbin/ipset')
  wrap "$program"

  # Where the programs look for each other is where they end up.
  rm -rf "${dest:?}/$suite"
  mv "$here" "$dest/$suite"
  version=$("$dest/$suite/sbin/iptables-nft" --version) ||
    fail "Debian $suite's iptables does not run" "try $dest/$suite/sbin/iptables-nft --version"
  echo "$version"
  printf '%s\n' "$made" >"$dest/$suite/installed"
}

command -v dpkg-deb >/dev/null || fail "there is no dpkg-deb" "this needs Debian, or its package dpkg"
for suite in bullseye bookworm trixie; do install "$suite"; done
