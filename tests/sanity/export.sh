#!/usr/bin/env bash
# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# usage: export.sh FOLDER
#
# Copies the tree (what git tracks and what it does not ignore) to FOLDER/ansible_collections/control_room/muster, the
# only kind of path in which ansible-test and the documentation linter work; prints that path. A link is not enough.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
target=$1/ansible_collections/control_room/muster
rm -rf "$target"
mkdir -p "$target"
cd "$root"
# A file that was deleted but not yet committed is still listed.
git ls-files -z --cached --others --exclude-standard |
  while IFS= read -r -d '' name; do [ ! -f "$name" ] || printf '%s\0' "$name"; done |
  tar -cf - --null --no-recursion -T - | tar -xf - -C "$target"
printf '%s\n' "$target"
