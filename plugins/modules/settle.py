#!/usr/bin/python
# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: settle
short_description: Commit the outcome of a plan (internal)
version_added: 0.1.0
description:
  - Internal, a step of the playbooks of this collection. It has no use on its own.
  - Commits the hosts' answers to M(control_room.muster.act) (registered as C(muster_acted)) and publishes the watch
    list.
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
  published:
    description:
      - Use the site as published on the controller instead of the inventory's.
    type: bool
    default: false
  fail_for:
    description:
      - Fail when one of these instances did not start.
    type: list
    elements: str
    default: []
  report:
    description:
      - Write the outcome as JSON to this file on the control node.
    type: path
    default: ""
"""

EXAMPLES = r"""
- name: Commit the outcome
  control_room.muster.settle:
  run_once: true
  delegate_to: "{{ groups['muster_controller'] | first }}"
"""

RETURN = r"""
results:
  description: Result per instance.
  returned: always
  type: dict
again:
  description: Whether another round can handle instances that wait for room or for their turn to leave a drained host.
  returned: always
  type: bool
again_kind:
  description: The kind of request of that round; empty when there is none.
  returned: always
  type: str
revision:
  description: Revision of the ledger after the commit.
  returned: unless in check mode
  type: int
"""

from ansible_collections.control_room.muster.plugins.module_utils import _entry  # noqa: E402


def main() -> None:
    """Only describe the options: the action plugin of the same name does the work."""
    _entry.described(
        dict(
            published=dict(type="bool", default=False),
            fail_for=dict(type="list", elements="str", default=[]),
            report=dict(type="path", default=""),
        ),
    )


if __name__ == "__main__":
    main()
