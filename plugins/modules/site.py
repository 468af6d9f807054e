#!/usr/bin/python
# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: site
short_description: Compile and validate the site
version_added: 0.2.0
description:
  - Reads the C(muster_*) variables and the inventory, validates them and renders every item's configuration.
  - Reports all errors at once, each with its place and the allowed values, before any host is touched.
  - Runs on the control node; the ledger is opened on the controller.
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
  create:
    description:
      - Make the ledger when the controller has none yet. Only a deploy sets this.
    type: bool
    default: false
  accept:
    description:
      - With O(create=true), accept that the source of the items lost half of them or more since the last deploy.
    type: bool
    default: false
    version_added: 0.2.0
  validate_only:
    description:
      - Stop after validation; read neither ledger nor hosts.
    type: bool
    default: false
  anew:
    description:
      - Compile again, although an earlier task of this run has compiled the site. For a play that runs after the
        inventory has changed.
    type: bool
    default: false
  join:
    description:
      - Only have this controller note in its state folder where the ledger is. For each of several controllers.
    type: bool
    default: false
  lease_key:
    description:
      - With O(create=true), take a step of the rotation of the key for leases. V(add) makes a new one known, V(use)
        has it used, V(drop) forgets the old one. Each must have reached every host before the next.
    type: str
    choices: [add, use, drop]
    version_added: 0.2.0
"""

EXAMPLES = r"""
- name: Check the site
  control_room.muster.site:
    validate_only: true
  run_once: true
  delegate_to: "{{ groups['muster_controller'] | first }}"
"""

RETURN = r"""
site:
  description: The site's name.
  returned: success
  type: str
  sample: scenario_2
site_id:
  description: The name and a random part, made at the first deploy and marked on every host.
  returned: unless O(validate_only=true)
  type: str
  sample: scenario_2-5f3a9c
controller:
  description: The inventory host that holds the ledger.
  returned: success
  type: str
  sample: controller
hosts:
  description: Hosts of the site, in site order.
  returned: success
  type: list
  elements: str
  sample: [server_1, server_2, console_1]
items:
  description: Number of items.
  returned: success
  type: int
  sample: 3
instances:
  description: Number of instances, that is applications times items.
  returned: success
  type: int
  sample: 6
exclusion:
  description: What the site promises when the network is cut.
  returned: success
  type: str
  sample: "exclusion: server_1, server_2 and server_3 witness the leases of all hosts"
witnesses:
  description: Hosts that witness the leases of all hosts.
  returned: success
  type: list
  elements: str
  sample: [server_1, server_2, server_3]
untried:
  description: Hosts of which it is not known whether datagrams travel between them and the witnesses.
  returned: unless O(validate_only=true)
  type: list
  elements: str
  sample: [console_1]
"""

from ansible_collections.control_room.muster.plugins.module_utils import _entry  # noqa: E402
from ansible_collections.control_room.muster.plugins.module_utils._core.controller import calls  # noqa: E402


def main() -> None:
    """Describe the options of the action plugin, and carry the requests of all of them to the controller."""
    _entry.described(
        dict(
            create=dict(type="bool", default=False),
            accept=dict(type="bool", default=False),
            validate_only=dict(type="bool", default=False),
            anew=dict(type="bool", default=False),
            join=dict(type="bool", default=False),
            lease_key=dict(type="str", choices=["add", "use", "drop"]),
        ),
        calls.handle,
    )


if __name__ == "__main__":
    main()
