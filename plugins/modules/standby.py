#!/usr/bin/python
# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: standby
short_description: Park until the monitor hands over intents, then plan them (internal)
version_added: 0.1.0
description:
  - Internal, a step of the playbooks of this collection. It has no use on its own.
  - The monitor keeps one run parked in this task, so that an alert does not wait for interpreter, imports, inventory
    and connections.
  - Plans at the moment of the alert, from the site as published on the controller and from the ledger.
author:
  - muster contributors (@control-room)
extends_documentation_fragment:
  - control_room.muster._attributes
attributes:
  check_mode:
    support: none
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  fifo:
    description:
      - The named pipe to which the monitor writes the intents. Without it O(intents) are planned at once.
    type: path
    default: ""
  intents:
    description:
      - Intents to plan without parking.
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: Wait for intents, plan and commit
  control_room.muster.standby:
    fifo: /run/muster/standby-1.fifo
  run_once: true
  delegate_to: "{{ groups['muster_controller'] | first }}"
  register: muster_planned
"""

RETURN = r"""
requests:
  description: The request to each host, for M(control_room.muster.act).
  returned: always
  type: dict
hosts:
  description: The hosts that have something to do.
  returned: always
  type: list
  elements: str
run:
  description: Number of this run.
  returned: always
  type: str
"""

from ansible_collections.control_room.muster.plugins.module_utils import _entry  # noqa: E402


def main() -> None:
    """Only describe the options: the action plugin of the same name does the work."""
    _entry.described(
        dict(
            fifo=dict(type="path", default=""),
            intents=dict(type="list", elements="dict", default=[]),
        ),
        check=False,
    )


if __name__ == "__main__":
    main()
