# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A collection that stands in for muster's where a test is about runs as such, not about their actions.

Real ansible-runner, real Ansible; only the playbooks are small. `standby` parks at the FIFO, once or as often as is
asked for, and writes the intents that arrive into its result; `reconcile` writes its extra variables beside the state.
"""

from __future__ import annotations

import os
from pathlib import Path

_STANDBY = """
- hosts: all
  gather_facts: false
  connection: local
  tasks:
    - control_room.muster.park: {fifo: "{{ muster_standby_fifo }}", work: "{{ standin_work | default(0) }}", round: 1}
"""
_AGAIN = """
    - control_room.muster.park: {fifo: "{{ muster_standby_fifo }}", work: "{{ standin_work | default(0) }}", round: %d}
      when: worked.worked
      register: worked
"""
_RECONCILE = """
- hosts: all
  gather_facts: false
  connection: local
  tasks:
    - ansible.builtin.debug: {msg: "reconcile because {{ muster_why }}"}
"""
_PARK = """
import json, os, select, time
from ansible.plugins.action import ActionBase

class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        fifo = self._task.args["fifo"]
        descriptor = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        open(fifo + ".ready%d" % int(self._task.args["round"]), "w").close()
        poll, data = select.poll(), b""
        poll.register(descriptor, select.POLLIN)
        while True:
            events = poll.poll(60000)
            part = os.read(descriptor, 65536) if events else b""
            if not part:
                break
            data += part
        if data:
            time.sleep(float(self._task.args["work"]))
            intents = json.loads(data)["intents"]
            with open(fifo + ".result", "w") as handle:
                json.dump({"results": {i["instance"]: i for i in intents}, "at": time.time()}, handle)
        return {"changed": False, "worked": bool(data)}
"""


def park_again(root: Path, rounds: int) -> None:
    """Have standby runs park so often."""
    first = _STANDBY.rstrip() + "\n      register: worked\n"
    more = "".join(_AGAIN.lstrip("\n") % number for number in range(2, rounds + 1))
    (root / "playbooks" / "standby.yml").write_text(first + more)


def make(folder: Path) -> Path:
    """Write the collection below `folder`; its root, for `playbooks.ROOT`."""
    root = folder / "ansible_collections" / "control_room" / "muster"
    for below in ("playbooks", "plugins/action"):
        (root / below).mkdir(parents=True)
    (root / "galaxy.yml").write_text("namespace: control_room\nname: muster\nversion: 0.0.1\nreadme: x\nauthors: [x]\n")
    (root / "playbooks" / "standby.yml").write_text(_STANDBY)
    (root / "playbooks" / "reconcile.yml").write_text(_RECONCILE)
    (root / "plugins" / "action" / "park.py").write_text(_PARK)
    return root


def processes(mark: str) -> list[int]:
    """Live processes whose command line has `mark` in it, this one left out."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            command = Path("/proc", name, "cmdline").read_bytes()
            state = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if mark.encode() in command and state != "Z":
            found.append(int(name))
    return found
