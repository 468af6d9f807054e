# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Standard output for programs: one framed JSON line per task and result."""

from __future__ import annotations

DOCUMENTATION = """
name: lines
type: stdout
short_description: One JSON line per task and result, for programs
version_added: 0.2.0
description:
  - Writes each begun task, each result and each failure as one line of JSON behind V(MUSTER:) to standard output.
  - The C(muster) command line reads playbook runs through it. What actions say in words stays on lines of its own.
  - Of a result only what muster's own actions return for people is passed on.
author:
  - muster contributors (@control-room)
options:
  result_keys:
    description: Keys of a result that are passed on, when they are there.
    type: list
    elements: str
    default: [changed, msg, mistake, plan, results, sentences, status, trail, site, controller, hosts, items, instances,
              lines, fingerprint, preview, diff, came]
    env:
      - name: MUSTER_RESULT_KEYS
"""

import json  # noqa: E402
import sys  # noqa: E402

from ansible import context  # noqa: E402
from ansible.plugins.callback import CallbackBase  # noqa: E402

from ansible_collections.control_room.muster.plugins.plugin_utils._locate import Locator  # noqa: E402

MARK = "MUSTER:"


class CallbackModule(CallbackBase):
    """One line per event; nothing else is written."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "control_room.muster.lines"

    def v2_playbook_on_start(self, playbook):
        """Say on standard error which files of the inventory are no YAML, and where: Ansible ends without saying it."""
        sources = [str(source) for source in context.CLIARGS.get("inventory") or ()]
        for error in Locator(sources).unreadable():
            sys.stderr.write(error.line() + "\n")

    def v2_playbook_on_task_start(self, task, is_conditional):
        self._say({"event": "task", "name": task.get_name(), "action": task.action})

    def v2_playbook_on_no_hosts_matched(self):
        self._say({"event": "nobody", "host": ""})

    def v2_runner_on_ok(self, result):
        self._say_result("ok", result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._say_result("ignored" if ignore_errors else "failed", result)

    def v2_runner_on_unreachable(self, result):
        self._say_result("unreachable", result)

    def _say_result(self, event, result):
        said, host, task = _parts(result)
        content = {key: said[key] for key in self.get_option("result_keys") if key in said}
        self._say({"event": event, "host": host.get_name(), "action": task.action, "result": content})

    def _say(self, line):
        sys.stdout.write("%s%s\n" % (MARK, json.dumps(line, default=str, separators=(",", ":"))))
        sys.stdout.flush()


def _parts(result):
    """What a task returned, and its host and task. Before ansible-core 2.19 these names began with an underscore."""
    if hasattr(result, "result"):
        return result.result, result.host, result.task
    return result._result, result._host, result._task
