#!/bin/sh
# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Makes changelog, archive and notes of the version that galaxy.yml names, and says what comes next. docs/releasing.md
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
cd "$root"
PATH=${MUSTER_RELEASE_BIN:-$root/.venv/bin}:$PATH
stop() { printf 'release: %s\n' "$*" >&2; exit 1; }

version=$(sed -n 's/^version: *//p' galaxy.yml)
[ -z "$(git status --porcelain)" ] || stop "the checkout has changes that are not committed"
! git rev-parse -q --verify "refs/tags/$version" >/dev/null || stop "$version is tagged already: set version in galaxy.yml"
! grep -q "^  $version:" changelogs/changelog.yaml 2>/dev/null || stop "$version is in changelogs/changelog.yaml already"
[ -n "$(find changelogs/fragments -name '*.yml' 2>/dev/null)" ] || stop "there is no fragment: nothing changed for users"

# In the only kind of path in which antsibull-changelog finds the plugins of a collection.
copy=$(mktemp -d "${TMPDIR:-/tmp}/muster-release.XXXXXX")
trap 'rm -rf "$copy"' EXIT
trap 'exit 130' INT TERM
tree=$(tests/sanity/export.sh "$copy")
rm -f "$tree/ansible.cfg"
(
  cd "$tree"
  git init -q . && git add -A # it asks git which files there are
  export ANSIBLE_COLLECTIONS_PATH="$copy" ANSIBLE_HOME="$copy/.ansible"
  antsibull-changelog lint
  antsibull-changelog release --version "$version"
)
cp "$tree/CHANGELOG.md" CHANGELOG.md
cp "$tree/changelogs/changelog.yaml" changelogs/changelog.yaml
find changelogs/fragments -name '*.yml' -delete
mkdir -p changelogs/fragments build
touch changelogs/fragments/.keep

python -m tests.release.pack build
archive=build/control_room-muster-$version.tar.gz
python -m tests.release.notes "$version" >build/notes.md
MUSTER_RELEASE_BIN=$(dirname "$(command -v python)") tests/release/importer.sh "$archive"
tar -tzf "$archive" | sort >build/archive.txt
cat <<TEXT

$archive, build/notes.md and build/archive.txt (what is in it) are made. Read CHANGELOG.md, then:
  git add -A && git commit -m 'Release $version' && git tag -a $version -m 'control_room.muster $version'
  git push --follow-tags
  ansible-galaxy collection publish $archive
TEXT
