#!/usr/bin/python
# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: status
short_description: Report one verdict per item, with its first cause
version_added: 0.1.0
description:
  - Combines the states of services, HCI, buses and hosts into one word per item, from the ledger and from the
    observations that M(control_room.muster.observe) registered.
author:
  - muster contributors (@control-room)
extends_documentation_fragment:
  - control_room.muster._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  observed:
    description:
      - The name of the variable that M(control_room.muster.observe) registered in this run.
      - Without it, what the hosts said last counts, and a warning says so.
    type: str
    default: muster_observed
  report:
    description:
      - Write the status as JSON to this file on the control node.
    type: path
    default: ""
"""

EXAMPLES = r"""
- name: Show the status
  control_room.muster.status:
  run_once: true
  delegate_to: "{{ groups['muster_controller'] | first }}"
"""

RETURN = r"""
status:
  description: Items with their verdicts, hosts, instances.
  returned: always
  type: dict
  contains:
    items:
      description: Per item its C(item), C(verdict) and first C(cause), and the states of C(services) and C(hci).
      type: list
      elements: dict
      returned: always
      sample: [{item: "01", slot: 1, verdict: operational, cause: "", paused: false}]
    counts:
      description: Number of items by verdict.
      type: dict
      returned: always
      sample: {operational: 3}
    hosts:
      description: Per host its C(host), C(state), C(answer), C(load), and the C(instances) that it holds.
      type: list
      elements: dict
      returned: always
    instances:
      description: Per instance its C(item), C(phase), C(host), C(epoch), C(programs) and C(reason).
      type: dict
      returned: always
    services:
      description: Per host service its state on each host.
      type: dict
      returned: always
    monitor:
      description: What the monitor does, and since when.
      type: dict
      returned: always
"""

from ansible_collections.control_room.muster.plugins.module_utils import _entry  # noqa: E402


def main() -> None:
    """Only describe the options: the action plugin of the same name does the work."""
    _entry.described(
        dict(
            report=dict(type="path", default=""),
        ),
    )


if __name__ == "__main__":
    main()
