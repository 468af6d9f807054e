#!/usr/bin/python
# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: status
short_description: Report one verdict per item, with its first cause
version_added: 0.2.0
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
  description:
    - What runs where, and how well. The document of C(muster status --json) and of the monitor's API, whose OpenAPI
      document describes every key.
    - Times are seconds since 1970.
  returned: always
  type: dict
  contains:
    site:
      description: The site's name.
      type: str
      returned: always
      sample: scenario_2
    at:
      description: When this was put together.
      type: float
      returned: always
      sample: 1893456000.5
    revision:
      description: Revision of the ledger.
      type: int
      returned: always
      sample: 42
    counts:
      description: Verdict, and the number of items that have it. A verdict that no item has is missing.
      type: dict
      returned: always
      sample: {operational: 2, not operational: 1}
    items:
      description:
        - One entry per item, with its verdict and the first cause of it; after them, where C(per) is C(site) or
          C(host), what the site has once, and what single hosts have.
        - C(services) and C(hci) have the state of the worst instance of that kind, and its host.
      type: list
      elements: dict
      returned: always
      sample:
        - item: "01"
          slot: 1
          per: item
          verdict: operational
          cause: null
          services: {state: running, host: server_1}
          hci: {state: stopped, host: null}
    hosts:
      description: One entry per host, in inventory order, with its state, last answer, load, capacity and instances.
      type: list
      elements: dict
      returned: always
      sample:
        - {host: server_1, state: up, answer: seen, reserved: 42, limit: 100, instances: [scen2_srv_01]}
    instances:
      description: Instance, and its item, application, phase, host, epoch, state and cause.
      type: dict
      returned: always
      sample:
        scen2_srv_01: {item: "01", application: scen2_srv, phase: running, host: server_1, epoch: 3, state: running}
    services:
      description: Service that hosts run themselves, and its state on each host.
      type: dict
      returned: always
      sample:
        common_data_bus: {label: the common bus, hosts: {server_1: {state: healthy, why: ""}}}
    monitor:
      description: Whether the monitor runs, and when it last said so.
      type: dict
      returned: always
      sample: {state: running, at: 1893456000.0}
    readiness:
      description: Which hosts the site can lose without losing an item.
      type: dict
      returned: always
"""

from ansible_collections.control_room.muster.plugins.module_utils import _entry  # noqa: E402


def main() -> None:
    """Only describe the options: the action plugin of the same name does the work."""
    _entry.described(
        dict(
            observed=dict(type="str", default="muster_observed"),
            report=dict(type="path", default=""),
        ),
    )


if __name__ == "__main__":
    main()
