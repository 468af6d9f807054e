#!/usr/bin/python
# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: act
short_description: Carry out a plan on one host (internal)
version_added: 0.1.0
description:
  - Internal, a step of the playbooks of this collection. It has no use on its own.
  - Writes configuration, stops instances and starts instances in stages, in one call. Each step has a deadline.
  - The host checks its processes again before every rank, refuses an epoch lower than the last it has seen, and
    confirms every stop by looking for processes.
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
  request:
    description:
      - The plan's request to this host (RV(control_room.muster.plan#module:requests)).
    type: dict
  published:
    description:
      - Use the site as published on the controller instead of the inventory's.
    type: bool
    default: false

"""

EXAMPLES = r"""
- name: Act on the hosts concerned
  control_room.muster.act:
    request: "{{ muster_planned.requests[inventory_hostname] }}"
  when: inventory_hostname in muster_planned.hosts
  register: muster_acted
"""

RETURN = r"""
answer:
  description: The outcome per instance.
  returned: always
  type: dict
"""

from ansible_collections.control_room.muster.plugins.module_utils import _entry  # noqa: E402
from ansible_collections.control_room.muster.plugins.module_utils._core.host import agent  # noqa: E402


def main() -> None:
    """Run the same function as the fast path, on this host."""
    _entry.run(
        dict(
            published=dict(type="bool", default=False),
        ),
        "request",
        agent.handle,
    )


if __name__ == "__main__":
    main()
