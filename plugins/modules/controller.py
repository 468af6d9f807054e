#!/usr/bin/python
# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: controller
short_description: One request to the controller (internal)
version_added: 0.2.0
description:
  - Internal. The other modules of this collection send their requests with it to the controller, where ledger and
    published state live, when the controller is not the machine that runs the playbook.
  - It has no use in playbooks, and its options may change with any version.
author:
  - muster contributors (@control-room)
extends_documentation_fragment:
  - control_room.muster._attributes
attributes:
  check_mode:
    support: full
    details:
      - The request says whether it is one of check mode.
  diff_mode:
    support: none
  idempotent:
    support: none
options:
  payload:
    description:
      - The request.
    type: dict
"""

EXAMPLES = r"""
- name: Show what runs, which sends such a request
  control_room.muster.status:
  run_once: true
  delegate_to: "{{ groups['muster_controller'] | first }}"
"""

RETURN = r"""
answer:
  description: The controller's answer.
  returned: success
  type: dict
"""

from ansible_collections.control_room.muster.plugins.module_utils import _entry  # noqa: E402
from ansible_collections.control_room.muster.plugins.module_utils._core.controller import calls  # noqa: E402


def main() -> None:
    """Run the same function as the fast path, on the controller."""
    _entry.run({}, "payload", calls.handle)


if __name__ == "__main__":
    main()
