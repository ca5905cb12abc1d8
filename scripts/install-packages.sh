#!/bin/sh
# Installs the Debian packages that building, testing and the demo need, and only those that are missing.
set -eu
packages='
  libssh-dev libsqlite3-dev pkg-config
  iptables ipset nftables iproute2 iputils-ping procps util-linux
  openssh-server openssh-client openssl
  debootstrap strace xxd nmap
  python3-venv
'
missing=
for package in $packages; do
  dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ]; then
  echo "error: packages are missing:$missing" >&2
  echo "hint: run 'sudo make deps', or install them yourself" >&2
  exit 1
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
# A new sshd must not be started on this machine: the lab runs its own inside its namespaces.
policy=/usr/sbin/policy-rc.d
made_policy=
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  made_policy=yes
fi
trap '[ -z "$made_policy" ] || rm -f "$policy"' EXIT
apt-get update -q >/dev/null
# shellcheck disable=SC2086 # a list of words
apt-get install -y -q --no-install-recommends $missing >/dev/null
