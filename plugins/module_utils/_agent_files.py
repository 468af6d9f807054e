# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that make the host agent: what prepare installs below ``lib/<hash>/muster_host/``."""

from __future__ import annotations

from ._agent_install import PACKAGE

NAMES = (
    "_act.py",
    "_agent.py",
    "_agent_install.py",
    "_boot.py",
    "_dbus.py",
    "_hostfiles.py",
    "_hostload.py",
    "_instancefiles.py",
    "_instancework.py",
    "_launch.py",
    "_listen.py",
    "_manager_supervisor.py",
    "_manager_systemd.py",
    "_managers.py",
    "_observe.py",
    "_ownership.py",
    "_ports.py",
    "_prepare.py",
    "_procs.py",
    "_remove.py",
    "_sequencer.py",
    "_staging.py",
    "_supervisor.py",
    "_supervisor_prepare.py",
    "_supervisord.py",
    "_systemd.py",
    "_systemd_events.py",
    "_systemd_files.py",
    "_systemd_prepare.py",
    "_xmlrpc.py",
)

# For `python -c`: runs the agent that the request itself brings, from memory. Nothing of the host's folder is loaded.
CARRIED = """\
import json,sys
from importlib.machinery import ModuleSpec
request=json.loads(sys.stdin.buffer.readline())
class Carried:
 def find_spec(self,name,path=None,target=None):
  package,_,part=name.partition('.')
  if package==%r and (not part or part+'.py' in request['agent']['files']):
   return ModuleSpec(name,self,is_package=not part)
 def create_module(self,spec):return None
 def exec_module(self,module):
  name=module.__name__.partition('.')[2]
  if name:exec(compile(request['agent']['files'][name+'.py'],'<agent>/'+name+'.py','exec'),module.__dict__)
sys.meta_path.insert(0,Carried())
from %s._agent import main
main(request)
""" % (PACKAGE, PACKAGE)
