#!/bin/sh
# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# ruff, mypy, yamllint, ansible-lint, and phrases that are hard to read; all of them run, whatever fails.
set -u
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
cd "$root" || exit 1
PATH=$root/.venv/bin:$PATH
export PATH
failed=

check() { # name, command
  name=$1
  shift
  printf -- '--- %s\n' "$name"
  "$@" || failed="$failed $name"
}

# monitor.core is plugins/module_utils/_core at run time; mypy gets it as an ordinary package.
typed() {
  tree=$root/.cache/typed
  rm -rf "$tree"
  mkdir -p "$tree/monitor"
  for entry in monitor/*; do
    [ "$entry" = monitor/core ] || ln -s "$root/$entry" "$tree/monitor/"
  done
  ln -s "$root/plugins/module_utils/_core" "$tree/monitor/core"
  (cd "$tree" && mypy --config-file "$root/pyproject.toml" --cache-dir "$root/.cache/mypy" -p monitor)
}

# Programs without a suffix tell what they are themselves: by their first line, or sh that executes itself as Python.
python_programs() { grep -rlIE '^#!.*python|^"exec" .*python' bin; }
shell_programs() { grep -rlIE '^#!.*/(ba)?sh$|^#!.*env bash$' bin tests .ci | grep -vxF "$(python_programs)"; }

# shellcheck disable=SC2046 # names without blanks
check "ruff" ruff check --no-cache . $(python_programs)
check "mypy" typed
check "yamllint" yamllint --strict .
check "words" python -m tests.sanity.words
check "ansible-lint" ansible-lint --nocolor -q
for program in $(shell_programs); do check "bash -n $program" bash -n "$program"; done

[ -z "$failed" ] || { printf 'lint: failed:%s\n' "$failed" >&2; exit 1; }
printf 'lint: all good\n'
