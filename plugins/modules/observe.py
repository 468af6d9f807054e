#!/usr/bin/python
# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: observe
short_description: Ask a host for its instances and its load
version_added: 0.2.0
description:
  - Returns instances present, the digest of the configuration folder, load facts and the host's incarnation.
  - A host that does not answer is data, not a failure (its C(answer) is then V(unreachable)).
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
  load:
    description:
      - Measure the load too.
    type: bool
    default: true
  instances:
    description:
      - Only these instances; all that are present when not given.
    type: list
    elements: str
  published:
    description:
      - Use the site as published on the controller instead of the inventory's.
    type: bool
    default: false
  evidence:
    description:
      - Report also what only matters when the ledger is lost. C(watched) says whether a monitor listens to this host,
        and C(epochs) is the highest epoch of each instance that ever ran there.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Observe every host
  control_room.muster.observe:
  register: muster_observed
"""

RETURN = r"""
observation:
  description: The host's report.
  returned: always
  type: dict
  contains:
    host:
      description: Its name in the inventory.
      type: str
      returned: always
      sample: server_1
    answer:
      description: V(seen), or V(unreachable) for a host that does not answer.
      type: str
      returned: always
      sample: seen
    why:
      description: Why it does not answer, in the words of the connection.
      type: str
      returned: when it does not answer
      sample: "ssh: connect to host 192.0.2.11 port 22: Connection timed out"
    site_id:
      description: The site that the host belongs to, from the mark on it.
      type: str
      returned: when it answers
      sample: scenario_2-5f3a9c
    controller:
      description: The controller of that site.
      type: str
      returned: when it answers
      sample: controller
    incarnation:
      description: Changes when the host, or its service manager, was started again.
      type: str
      returned: when it answers
    service_manager:
      description: V(running), V(stopped), or V(absent) on a host that was not prepared.
      type: str
      returned: when it answers
      sample: running
    instances:
      description: Instance present, and its epoch, claim, digest of its configuration and programs with their states.
      type: dict
      returned: when it answers
    services:
      description: Service of the host itself, and its state.
      type: dict
      returned: when it answers and O(instances) is not given
    drift:
      description: Files of muster that somebody changed.
      type: list
      elements: str
      returned: when it answers and O(instances) is not given
    foreign:
      description: Files and processes that are not muster's, in its folder.
      type: list
      elements: str
      returned: when it answers and O(instances) is not given
    load:
      description: The load as measured.
      type: dict
      returned: with O(load=true)
"""

from ansible_collections.control_room.muster.plugins.module_utils import _entry  # noqa: E402


def main() -> None:
    """Only describe the options: the action plugin of the same name does the work."""
    _entry.described(
        dict(
            load=dict(type="bool", default=True),
            instances=dict(type="list", elements="str"),
            published=dict(type="bool", default=False),
            evidence=dict(type="bool", default=False),
        ),
    )


if __name__ == "__main__":
    main()
