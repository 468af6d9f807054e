#!/bin/sh
# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# usage: sanity.sh [--test NAME ...]
#
# ansible-test sanity on a copy of the tree. Its home, with the environments it makes, is .cache/sanity: nothing of it is
# left outside of the checkout, and the second run is quick.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
venv=$root/.venv/bin
home=$root/.cache/sanity
copy=$(mktemp -d "${TMPDIR:-/tmp}/muster-sanity.XXXXXX")
trap 'rm -rf "$copy"' EXIT
trap 'exit 130' INT TERM

mkdir -p "$home/.ansible/test/cache" "$home/.config/pip"
# ansible-test hides pip's environment variables from pip; an index or a certificate set there must still be used.
{
  printf '[global]\ncompile = no\n' # what is imported is compiled then
  "$venv/python" -m pip config list | sed -n "s/^\(:env:\|user\|site\)\.\([a-z-]*\)='\(.*\)'\$/\2 = \3/p"
} >"$home/.config/pip/pip.conf"
version=$("$venv/python" -c 'from ansible_test._internal.python_requirements import get_venv_packages as packages
from ansible_test._internal.host_configs import VirtualPythonConfig as Python
print(packages(Python(version="3.11"))["pip"].replace(".", "_"))')
sed "s|^PIPS_PYTHON = .*|PIPS_PYTHON = '$venv/python'|" "$root/tests/sanity/get_pip.py" \
  >"$home/.ansible/test/cache/get_pip_$version.py"

collection=$("$root/tests/sanity/export.sh" "$copy")
cd "$collection"
# Not content of a collection, and looked at by ruff: our tests; and below bin/, where ansible-test takes every file
# without a suffix for Python, programs in sh or Python.
rm -rf tests
find bin -type f ! -name '*.py' -delete
# Steps of the playbooks that are not for others have no module that documents them.
core=$("$venv/python" -c 'from ansible.release import __version__ as v; print(*v.split(".")[:2], sep=".")')
mkdir -p tests/sanity
{
  for action in act adopt exec people phase settle standby ways; do
    echo "plugins/action/$action.py action-plugin-docs # a step of the playbooks"
  done
  echo "plugins/modules/site.py validate-modules:undocumented-parameter # _request: from its action plugin"
} >"tests/sanity/ignore-$core.txt"
git init -q .
git add -A
python=$("$venv/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
failed=0
# What the arguments say, and nothing else.
sanity() {
  HOME=$home PATH=$venv:$PATH "$venv/ansible-test" sanity --python "$python" --color no "$@"
}

if [ $# -gt 0 ]; then
  sanity "$@"
  exit
fi
# shellcheck and PowerShell are not among what `make` may ask of a machine.
sanity --skip-test shellcheck --skip-test pslint --skip-test pylint || failed=1
# pylint takes two thirds of the time of all tests. It looks at what neither mypy (strict) nor an import by ansible-test
# looks at as a whole: programs and what Ansible loads. For monitor and core, its messages that ansible-test leaves on are
# those of ruff's PLE, PLW, F, B and S306, which `make lint` runs on every file, and mypy's; of ansible-test's own ones,
# two are about modules only, one about Python 2, one about warnings of Ansible, which the core does not import
# (tests/unit/project/test_rooms.py), one is S306, one mypy's (names that collections has no more).
sanity --test pylint $(find plugins bin -name '*.py' ! -path 'plugins/module_utils/_core/*') || failed=1
exit "$failed"
