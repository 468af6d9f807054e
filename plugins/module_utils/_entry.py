# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules do: they describe the options of their action plugins. One of them carries requests, too."""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, Optional

from ansible.module_utils.basic import AnsibleModule

# The option in which an action plugin sends a request to the controller: without documentation, not one for playbooks.
REQUEST = "_request"
_NO_ACTION = "the action plugin of the same name is missing: use this module by its full name"
_Handle = Callable[[Mapping[str, Any]], Dict[str, Any]]


def described(options: Mapping[str, Any], handle: Optional[_Handle] = None) -> None:
    """Answer the request of an action plugin, or fail: the module was run without its action plugin.

    :param options: those of playbooks; the action plugin has read them.
    :param handle: answers requests, where the module carries them.
    """
    spec = dict(options)
    if handle is not None:
        spec[REQUEST] = dict(type="dict")
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    request = module.params.get(REQUEST)
    if handle is None or request is None:
        module.fail_json(msg=_NO_ACTION)
    answer = handle(request)
    if answer.get("error"):
        module.fail_json(msg=answer["error"])
    module.exit_json(changed=bool(answer.get("changed")), answer=answer)
