#!/bin/sh
# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The documentation of modules and roles, the changelog fragments, the licence of every file (REUSE), and every link between
# the project's pages.
set -u
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
venv=$root/.venv/bin
copy=$(mktemp -d "${TMPDIR:-/tmp}/muster-docs.XXXXXX")
trap 'rm -rf "$copy"' EXIT
trap 'exit 130' INT TERM
failed=

collection=$("$root/tests/sanity/export.sh" "$copy") || exit 1
cd "$collection" || exit 1
# Without the checkout's own settings, which would have this collection found twice.
rm -f ansible.cfg
# Roles of the same name in the user's home must not be looked at.
export ANSIBLE_COLLECTIONS_PATH="$copy" ANSIBLE_HOME="$copy/.ansible" PATH="$venv:$PATH"

printf -- '--- antsibull-docs\n'
antsibull-docs lint-collection-docs --plugin-docs --disallow-unknown-collection-refs . || failed="$failed antsibull-docs"
printf -- '--- antsibull-changelog\n'
antsibull-changelog lint || failed="$failed antsibull-changelog"
printf -- '--- licences\n'
(cd "$root" && reuse lint --quiet) || { (cd "$root" && reuse lint --lines); failed="$failed licences"; }
printf -- '--- links\n'
python "$root/tests/sanity/links.py" "$collection" || failed="$failed links"

[ -z "$failed" ] || { printf 'docs: failed:%s\n' "$failed" >&2; exit 1; }
printf 'docs: all good\n'
