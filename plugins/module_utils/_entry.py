# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ordinary way of a module: the same function as the fast path, run by Ansible. The only one here that knows it."""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping

from ansible.module_utils.basic import AnsibleModule

_NO_ACTION = "the action plugin of the same name is missing: use this module by its full name"


def run(
    options: Mapping[str, Any], payload: str, handle: Callable[[Mapping[str, Any]], Dict[str, Any]], check: bool = True
) -> None:
    """Answer the request that the action plugin sent, and exit.

    :param options: the options of playbooks; the action plugin has read them.
    :param payload: the option that carries the request.
    :param check: whether check mode is supported.
    """
    module = AnsibleModule(argument_spec=dict(options, **{payload: dict(type="dict")}), supports_check_mode=check)
    request = module.params[payload]
    if request is None:
        module.fail_json(msg=_NO_ACTION)
    answer = handle(request)
    if answer.get("error"):
        module.fail_json(msg=answer["error"])
    module.exit_json(changed=bool(answer.get("changed")), answer=answer)


def described(options: Mapping[str, Any], check: bool = True) -> None:
    """Fail: a module that only describes the options of its action plugin was run without it.

    :param options: of playbooks.
    :param check: whether check mode is supported.
    """
    module = AnsibleModule(argument_spec=dict(options), supports_check_mode=check)
    module.fail_json(msg=_NO_ACTION)
