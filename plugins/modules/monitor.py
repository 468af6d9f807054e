#!/usr/bin/python
# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: monitor
short_description: Run the monitor on the controller
version_added: 0.2.0
description:
  - Makes the monitor a program of the controller's own service manager, or stops and removes it.
author:
  - muster contributors (@control-room)
extends_documentation_fragment:
  - control_room.muster._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  program:
    description:
      - What is run. V(etcd) is a member of the cluster that holds the ledger, in a folder beside the controller's, with
        a supervisord of its own.
    type: str
    choices: [monitor, etcd]
    default: monitor
  controller:
    description:
      - On which of several controllers, where the task is delegated. By default the host of the task.
    type: str
    default: ""
  state:
    description:
      - V(started) runs it and keeps it running; V(stopped) ends it; V(removed) also removes the controller's folder.
    type: str
    choices: [started, stopped, removed]
    default: started
  command:
    description:
      - How the monitor is started, as a list of arguments.
    type: list
    elements: str
    default: []
  supervisord:
    description:
      - How supervisord is started, as a list of arguments.
    type: list
    elements: str
    default: [/usr/bin/supervisord]
  environment:
    description:
      - Environment of the monitor.
    type: dict
    default: {}
  boot:
    description:
      - Whether the controller's supervisord, and the monitor with it, is to start with the machine, by a unit of
        systemd. Needs root, or a user who may linger.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Run the monitor
  control_room.muster.monitor:
    state: started
    command: [/opt/muster/bin/muster, monitor]
"""

RETURN = r"""
did:
  description: One sentence per change.
  returned: success
  type: list
  elements: str
  sample: [wrote etc/services/monitor.ini, started the monitor]
"""

from ansible_collections.control_room.muster.plugins.module_utils import _entry  # noqa: E402


def main() -> None:
    """Only describe the options: the action plugin of the same name does the work."""
    _entry.described(
        dict(
            program=dict(type="str", choices=["monitor", "etcd"], default="monitor"),
            controller=dict(type="str", default=""),
            state=dict(type="str", choices=["started", "stopped", "removed"], default="started"),
            command=dict(type="list", elements="str", default=[]),
            supervisord=dict(type="list", elements="str", default=["/usr/bin/supervisord"]),
            environment=dict(type="dict", default={}),
            boot=dict(type="bool", default=False),
        ),
    )


if __name__ == "__main__":
    main()
