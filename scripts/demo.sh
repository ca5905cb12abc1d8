#!/bin/sh
# The whole loop on six hosts of this machine's own, told as a story: each command, then its real output.
# Ends non-zero as soon as a step does not do what it says.
set -eu
portcullis=$(realpath "$1")
examples=$(realpath "$(dirname "$0")/../examples")
PATH=$(dirname "$portcullis"):$PATH
export PATH
unset PORTCULLIS_CONFIG

if [ "$(id -u)" -ne 0 ]; then
  echo "error: the demo makes network namespaces, which needs root" >&2
  echo "hint: sudo make demo" >&2
  exit 1
fi

# Of its own: two demos at once are two labs.
lab=$(mktemp -d /var/tmp/portcullis-demo-XXXXXX)
output=$(mktemp)
finish() {
  status=$?
  cd /
  portcullis lab down --dir "$lab" >/dev/null 2>&1 || true
  rmdir "$lab" 2>/dev/null || true
  rm -f "$output"
  [ "$status" -eq 0 ] || echo "demo: FAILED" >&2
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

say() { printf '\n\033[1m# %s\033[0m\n' "$*" | if [ -t 1 ]; then cat; else sed 's/\x1b\[[0-9;]*m//g'; fi; }

# expect STATUS COMMAND…: shows the command, runs it, shows its output, insists on the exit code.
expect() {
  wanted=$1
  shift
  line=
  for word in "$@"; do
    case $word in *' '*) line="$line '$word'" ;; *) line="$line $word" ;; esac
  done
  printf '$%s\n' "$(printf %s "$line" | sed "s#$lab#DIR#g")"
  got=0
  "$@" >"$output" 2>&1 || got=$?
  sed "s#$lab#DIR#g" "$output"
  if [ "$got" -ne "$wanted" ]; then
    echo "demo: that should have ended with $wanted, but ended with $got" >&2
    exit 1
  fi
}
# The last command's output must hold these words.
says() {
  grep -qF -e "$1" "$output" || {
    echo "demo: the output above should have said: $1" >&2
    exit 1
  }
}
# … or must not.
never() {
  ! grep -qF -e "$1" "$output" || {
    echo "demo: the output above should not have said: $1" >&2
    exit 1
  }
}

say "Six hosts with a kernel packet filter, an sshd and an agent each; half of them nft, half legacy iptables."
expect 0 portcullis lab up --hosts 6 --backend mixed --dir "$lab"
cd "$lab"
expect 0 portcullis hosts
says "h[004-006]"

say "What would change? Nothing is written anywhere, on no machine."
expect 0 portcullis plan
says "6 to change"

say "Do it: one release, signed once for the whole fleet, applied and read back on every host, both families."
expect 0 portcullis apply --yes --reason "first release"
says "6 committed"
expect 0 portcullis status --refresh
says "6 current"

say "The same policy has the same hash on both backends: compare the last two columns."
expect 0 portcullis status -o wide -l h001,h002

say "Somebody opens a port on h003 by hand, at three in the morning."
expect 0 portcullis lab exec h003 --dir "$lab" -- iptables -I INPUT -p tcp --dport 8081 -j ACCEPT
expect 2 portcullis drift
says h003
says "+-A INPUT -p tcp -m tcp --dport 8081 -j ACCEPT"
never h004
expect 0 portcullis history h003
says "external     drifted: ipv4 filter/INPUT"

say "Put our rules first again on that host: what stands below them opens nothing. The others are not touched."
expect 0 portcullis apply --limit h003 --yes --reason "remove a port opened by hand"
expect 0 portcullis drift
says "no drift"

say "A tidy-minded colleague deletes the rule that lets the controllers in. It is named before anything is sent."
cp -r policies policies.good
expect 0 sed -i "/service: ssh/d" policies/base.yaml
expect 5 portcullis apply --limit h001,h002 --yes --reason "tidy up"
says "[no-ssh-from-controllers]"

say "He insists. No host takes it: each knocked at its own door."
expect 5 portcullis apply --limit h001,h002 --yes --despite-errors --reason "nobody logs in there"
says "the management path would be shut"

say "Forced, the hosts take it, hear from nobody within 15 seconds, and go back by themselves: both families."
expect 3 portcullis apply --limit h001,h002 --yes --override-lockout --confirm-timeout 15 \
  --reason "I know what I am doing"
says "went back"
rm -r policies && mv policies.good policies
expect 0 portcullis status --refresh --limit h001,h002
says "2 intact"

say "Somebody pulls a host's plug: its rules come back with it."
expect 0 portcullis lab reboot h005 --dir "$lab"
expect 0 portcullis status --refresh --limit h005
says "intact"

say "The bad day is prepared for on a good one: a lockdown profile goes to every host with a release, and is tried there."
expect 0 mkdir policies/lockdown
expect 0 cp "$examples/lockdown/isolate.yaml" policies/lockdown/
expect 0 portcullis apply --yes --reason "lockdown profiles"
says "6 committed"
expect 0 portcullis status --refresh
expect 0 portcullis lockdown arm isolate --lifts-after 2h --reason "in case"
says "staged on 6 of 6 hosts"
says "WILL STOP ANSWERING"
expect 0 portcullis lockdown drill isolate
says "would obey 6 of 6"

say "The bad day. h002 answers h001's ping; one order to all but h001, and nobody but the controllers gets an answer."
expect 0 portcullis lab exec h001 --dir "$lab" -- ping -c 1 -W 2 10.77.1.2
expect 0 portcullis lockdown start isolate -l 'all:!h001' --lifts-after 2h --confirm-hosts 5 \
  --reason "INC-991 stolen deploy key"
says "verified 5"
expect 0 portcullis lockdown status
says "INC-991 stolen deploy key"
expect 1 portcullis lab exec h001 --dir "$lab" -- ping -c 1 -W 2 10.77.1.2
expect 1 portcullis lab exec h001 --dir "$lab" -- ping -6 -c 1 -W 2 fd77::1:2
expect 0 portcullis lab exec h002 --dir "$lab" -- iptables-save -t mangle
says "-A PCLLOCK-INPUT -j DROP"

say "Somebody lets everybody in on h003, and a plug is pulled on h004. Both stay shut; management gets in."
expect 0 portcullis lab exec h003 --dir "$lab" -- iptables -I INPUT -j ACCEPT
expect 1 portcullis lab exec h001 --dir "$lab" -- ping -c 1 -W 2 10.77.1.3
expect 0 portcullis lab reboot h004 --dir "$lab"
expect 1 portcullis lab exec h001 --dir "$lab" -- ping -c 1 -W 2 10.77.1.4
expect 0 portcullis drift repair -l h003 --yes --reason "a rule above ours"

say "Lift it: the hosts go on with the release they had."
expect 0 portcullis lockdown lift --confirm-hosts 6 --reason "INC-991 closed"
expect 0 portcullis lab exec h001 --dir "$lab" -- ping -c 1 -W 2 10.77.1.2
expect 0 portcullis status --refresh
says "6 intact"
expect 0 portcullis audit list

say "An auditor needs no Portcullis: OpenSSH checks the signature, sha256sum the rules."
expect 0 portcullis release export h003 --out "$lab/bundle"
expect 0 cat "$lab/bundle/manifest"
expect 0 sh -c "ssh-keygen -Y verify -f keys/allowed_signers -I lab@portcullis -n release@portcullis \
    -s bundle/release.statement.0.sig <bundle/release.statement"
says "Good \"release@portcullis\" signature"
expect 0 sha256sum "$lab/bundle/ipv4.rules" "$lab/bundle/ipv6.rules"

say "Take the lab down: no namespace, process, mount or file is left."
cd /
expect 0 portcullis lab down --dir "$lab"
[ ! -e "$lab" ] || { echo "demo: $lab is still there" >&2; exit 1; }
say "Done. Next: README.md, or your own fleet with 'portcullis init'."
