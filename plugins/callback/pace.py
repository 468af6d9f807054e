# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often a run that waits looks whether something came."""

from __future__ import annotations

DOCUMENTATION = """
name: pace
type: aggregate
short_description: How often a run that waits looks for results
version_added: 0.2.0
description:
  - Sets the interval at which Ansible looks for results, for which there is a setting in C(ansible.cfg) only.
  - The monitor keeps a run parked with it, without a copy of the C(ansible.cfg) of the site. It does nothing else.
author:
  - muster contributors (@control-room)
options:
  poll_interval:
    description: Seconds between two looks; V(0) leaves Ansible's setting.
    type: float
    default: 0
    env:
      - name: MUSTER_POLL_INTERVAL
"""

from ansible import constants  # noqa: E402
from ansible.plugins.callback import CallbackBase  # noqa: E402


class CallbackModule(CallbackBase):
    """Sets the interval once, before the first play."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "control_room.muster.pace"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, playbook):
        interval = self.get_option("poll_interval")
        if interval > 0:
            constants.DEFAULT_INTERNAL_POLL_INTERVAL = interval
