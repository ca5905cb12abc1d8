#!/bin/bash
# The figures of docs/benchmarks.md on this machine: goal beside result, misses marked. Needs root.
# Times are wall seconds and controller CPU (user + system, children included) of whole commands; ratios in one run
# against OpenSSH's client driven by clush on the same hosts, with the same key exchange (curve25519).
set -euo pipefail
bin=$(realpath "$1")
. "$(dirname "$0")/figures.sh"
hosts=${2:-50}
lab=/var/tmp/portcullis-bench
work=$(mktemp -d)

finish() {
  cd /
  "$bin/portcullis" lab down --dir "$lab" >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap finish EXIT
[ "$(id -u)" -eq 0 ] || { echo "error: make bench raises a lab, which needs root" >&2; exit 1; }
command -v clush >/dev/null || { apt-get update -q >/dev/null; apt-get install -y -q --no-install-recommends clustershell >/dev/null; }

"$bin/portcullis" lab down --dir "$lab" >/dev/null 2>&1 || true
heading

timed "$bin/portcullis" lab up --hosts 20 --backend mixed --dir "$lab"
row "lab up, 20 hosts, enrolled: wall s" "$wall" 10 le
"$bin/portcullis" lab down --dir "$lab" >/dev/null
"$bin/portcullis" lab up --hosts "$hosts" --backend mixed --dir "$lab" >/dev/null 2>&1
cd "$lab"

read -ra ours < <(ours_inside "$lab")
read -ra theirs < <(theirs_inside "$lab")
timed "${ours[@]}" "$bin/portcullis" apply --yes
row "cold apply, $hosts hosts: wall s" "$wall" "$(calc 1 "$hosts * 0.2")" le
row "cold apply, $hosts hosts: controller CPU ms per host" "$(calc 2 "$cpu * 1000 / $hosts")" 2.5 le

# Five sweeps and five of clush in turn; medians.
: >"$work/sweep"; : >"$work/clush"; : >"$work/cpu"
names=$(seq -f 'h%03g' -s, 1 "$hosts")
for _ in 1 2 3 4 5; do
  timed "${ours[@]}" "$bin/portcullis" status --refresh
  echo "$wall" >>"$work/sweep"
  echo "$cpu" >>"$work/cpu"
  timed "${theirs[@]}" /usr/bin/clush -S -f 64 -w "$names" -b 'iptables-save | sha256sum; ip6tables-save | sha256sum'
  echo "$wall" >>"$work/clush"
done
row "cold sweep, $hosts hosts: wall s (median of 5)" "$(median "$work/sweep")" "$(calc 1 "$hosts * 0.1")" le
row "cold sweep, $hosts hosts: controller CPU ms per host" "$(calc 2 "$(median "$work/cpu") * 1000 / $hosts")" 2.5 le
row "cold sweep: wall, ratio to clush saving and hashing" "$(calc 2 "$(median "$work/sweep") / $(median "$work/clush")")" 1.00 le

cp "$bin/portcullis-agent" "$work/agent"
strip "$work/agent"
row "agent, stripped: MB" "$(calc 1 "$(stat -c %s "$work/agent") / 1000000")" 20 le
best=999999
for _ in $(seq 20); do
  start=$(date +%s%N); "$work/agent" version >/dev/null; end=$(date +%s%N)
  [ $(((end - start) / 1000)) -ge "$best" ] || best=$(((end - start) / 1000))
done
row "agent, start to end of 'version': ms (best of 20)" "$(calc 1 "$best / 1000")" 5 le
pid=$("$bin/portcullis" lab exec h001 --dir "$lab" -- pgrep -f 'portcullis-agent serve' | head -1)
rss=$("$bin/portcullis" lab exec h001 --dir "$lab" -- sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status")
row "agent, serving after an apply: MiB resident" "$(calc 1 "$rss / 1024")" 16 le

{
  printf '*filter\n:INPUT DROP [12:3456]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [7:890]\n'
  seq 1 100000 | awk '{printf "[%d:%d] -A INPUT -s 10.%d.%d.%d/32 -p tcp -m tcp --dport %d -m comment --comment \"rule %d\" -j ACCEPT\n", $1, $1*60, $1/65536, ($1/256)%256, $1%256, $1%65535+1, $1}'
  printf 'COMMIT\n'
} >"$work/large.rules"
rate=$("$bin/portcullis" measure "$work/large.rules" | sed 's/.*: \([0-9.]*\) MB\/s.*/\1/')
row "parse + canonical form + hash, 100,000 rules: MB/s" "$rate" 150 ge

# 10,000 hosts in 50 groups, 200 items for each group, in both families.
fleet=$work/fleet
mkdir -p "$fleet/policies"
printf 'fleet: bench\ninventory: hosts.yaml\n' >"$fleet/portcullis.yaml"
awk 'BEGIN {
  print "all:\n  children:"
  for (g = 1; g <= 50; g++) {
    printf "    g%d:\n      hosts:\n", g
    for (h = 1; h <= 200; h++) printf "        g%dh%d: {ansible_host: 10.%d.%d.1}\n", g, h, g, h
  }
}' >"$fleet/hosts.yaml"
for g in $(seq 50); do
  awk -v g="$g" 'BEGIN {
    printf "policy: g%d\napplies_to: g%d\ndefaults: {input: drop, forward: drop, output: accept}\ninput:\n", g, g
    print "  - accept: {in: lo}\n  - accept: {service: ssh, from: controllers}\n  - accept: icmp-essential"
    for (i = 1; i <= 197; i++) printf "  - accept: {tcp: \"%d\", from: [10.%d.%d.0/24, \"2001:db8:%x::/64\"]}\n", 1000 + i, g, i, i
  }' >"$fleet/policies/g$g.yaml"
done
planned=$("$bin/portcullis" measure --plan "$fleet/portcullis.yaml")
echo "  $planned"
row "compile and plan 10,000 hosts: s" "$(sed 's/.*: \([0-9.]*\) s.*/\1/' <<<"$planned")" 2 le
row "compile and plan 10,000 hosts: MiB at most" "$(sed 's/.*, \([0-9]*\) MiB.*/\1/' <<<"$planned")" 500 le

verdict
