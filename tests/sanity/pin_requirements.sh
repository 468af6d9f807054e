#!/bin/sh
# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# usage: pin_requirements.sh [--upgrade]
#
# Pins what requirements/*.in ask for, every file with its hashes: runtime first, development follows its versions.
# Run it with the oldest Python that is supported (3.11): what it needs besides is then in the lists.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
cd "$root"
command -v pip-compile >/dev/null 2>&1 || {
  printf 'pin_requirements: pip-compile is missing: pip install pip-tools, in an environment of its own.\n' >&2
  exit 1
}
for list in runtime development peer rulebook; do
  pip-compile --quiet --strip-extras --allow-unsafe --generate-hashes --no-header --no-emit-index-url \
    --no-emit-find-links --no-emit-trusted-host "$@" --output-file "requirements/$list.txt" "requirements/$list.in"
done
