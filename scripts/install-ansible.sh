#!/bin/sh
# Installs Ansible into the directory DEST, for the tests that compare our reading of inventories with Ansible's own, and
# jsonschema, for those that compare our schemas with our readers. Nothing is done when these versions are there already.
#
#   install-ansible.sh DEST
set -eu

[ $# -eq 1 ] || { echo "usage: $0 DEST" >&2; exit 64; }
dest=$1
# One minor version: its inventory code is what the tests were written against, and it runs on Debian 12's Python.
wanted='ansible-core>=2.19.3,<2.20 jsonschema>=4.17,<5'

# Written last: an installation that ended halfway, or was of other versions, is made again.
installed=$dest/installed
if [ -x "$dest/bin/python" ] && [ "$(cat "$installed" 2>/dev/null)" = "$wanted" ]; then exit 0; fi
echo "installing: $wanted into $dest"
rm -rf "$dest"
python3 -m venv "$dest"
# shellcheck disable=SC2086 # a list of words
"$dest/bin/pip" install --quiet --disable-pip-version-check $wanted
printf '%s\n' "$wanted" >"$installed"
