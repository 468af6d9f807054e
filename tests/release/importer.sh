#!/bin/sh
# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# usage: importer.sh [ARCHIVE]
#
# Imports the archive as Galaxy does, without a warning. ansible-lint, which takes most of its time, is part of "make lint";
# MUSTER_IMPORTER_LINT=1 runs it here, too.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
venv=${MUSTER_RELEASE_BIN:-$root/.venv/bin}
place=$(mktemp -d "${TMPDIR:-/tmp}/muster-import.XXXXXX")
trap 'rm -rf "$place"' EXIT
trap 'exit 130' INT TERM

cd "$root"
archive=${1:-$("$venv/python" -m tests.release.pack "$place")}
archive=$(readlink -f "$archive")
mkdir "$place/work"
cd "$place/work"
lint=False
[ -z "${MUSTER_IMPORTER_LINT:-}" ] || lint=True
said=$place/said
HOME=$place PATH=$venv:$PATH GALAXY_IMPORTER_RUN_ANSIBLE_LINT=$lint GALAXY_IMPORTER_TMP_ROOT_DIR=$place \
  "$venv/python" -m galaxy_importer.main "$archive" >"$said" 2>&1 || { cat "$said" >&2; exit 1; }
if grep -E 'WARNING|ERROR' "$said" >&2; then
  echo "importer: Galaxy would warn" >&2
  exit 1
fi
grep -q 'completed successfully' "$said" || { cat "$said" >&2; exit 1; }
size=$(wc -c <"$archive")
if [ "$size" -gt 1250000 ]; then
  echo "importer: the archive has $size bytes, more than 1250000: what is in it that users do not need?" >&2
  exit 1
fi
printf 'importer: no warning, %s bytes\n' "$size"
