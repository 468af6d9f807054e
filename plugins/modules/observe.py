#!/usr/bin/python
# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: observe
short_description: Ask a host for its instances and its load
version_added: 0.1.0
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

  request:
    description:
      - The request that the action plugin sends to the host. Not for playbooks.
    type: dict
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
  sample: {"host": "server_1", "answer": "seen", "instances": {}}
"""

from ansible_collections.control_room.muster.plugins.module_utils import _entry  # noqa: E402
from ansible_collections.control_room.muster.plugins.module_utils._core.host import agent  # noqa: E402


def main() -> None:
    """Run the same function as the fast path, on this host."""
    _entry.run(
        dict(
            load=dict(type="bool", default=True),
            instances=dict(type="list", elements="str"),
            published=dict(type="bool", default=False),
        ),
        "request",
        agent.handle,
    )


if __name__ == "__main__":
    main()
