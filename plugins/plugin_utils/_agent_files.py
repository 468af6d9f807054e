# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of the core that are installed on hosts: the agent, and what the command for their people is made of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..module_utils._core.host import install
from ..module_utils._core.host.machine import ownership

FOLDER = Path(install.__file__).parent  # the room that travels, as a whole and alone
# What an agent writes to standard error that is not installed, lacks a file, or must not be run by root.
ABSENT = ("No module named '%s" % install.PACKAGE, "' from '%s" % install.PACKAGE, ownership.REFUSED)


def texts() -> dict[str, str]:
    """``{path below FOLDER: text}`` of every file of the agent with code; packages are made where they arrive."""
    files = sorted(path for path in FOLDER.rglob("*.py") if path.name != "__init__.py")
    return {path.relative_to(FOLDER).as_posix(): path.read_text(encoding="utf-8") for path in files}


def bundle(files: Mapping[str, str]) -> dict[str, Any]:
    """Sources and their hash: ``{"hash", "files": {path: text}}``."""
    digest = hashlib.sha256()
    for name, text in files.items():
        digest.update(("%s\0%s\0" % (name, text)).encode())
    return {"hash": digest.hexdigest()[:16], "files": dict(files)}


def of_core(names: Iterable[str]) -> dict[str, str]:
    """``{path below the core: text}`` of these files."""
    return {name: (FOLDER.parent / name).read_text(encoding="utf-8") for name in sorted(names)}


# For `python -c`: runs the agent that the request itself brings, from memory. Nothing of the host's folder is loaded.
CARRIED = """\
import json,sys
from importlib.machinery import ModuleSpec
request=json.loads(sys.stdin.buffer.readline())
files=request['agent']['files']
folders={''}|{name[:at] for name in files for at,mark in enumerate(name) if mark=='/'}
class Carried:
 def find_spec(self,name,path=None,target=None):
  package,_,part=name.partition('.')
  part=part.replace('.','/')
  if package==%r and (part in folders or part+'.py' in files):
   return ModuleSpec(name,self,is_package=part in folders)
 def create_module(self,spec):return None
 def exec_module(self,module):
  name=module.__name__.partition('.')[2].replace('.','/')
  if name not in folders:exec(compile(files[name+'.py'],'<agent>/'+name+'.py','exec'),module.__dict__)
sys.meta_path.insert(0,Carried())
from %s.agent import main
main(request)
""" % (install.PACKAGE, install.PACKAGE)
