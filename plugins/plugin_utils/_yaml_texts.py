# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What YAML makes of a text without quotes: 010 is 8, 12:30 is 750, 1.10 is 1.1 and no is false."""

from __future__ import annotations

import re
from typing import Any

import yaml

from ..module_utils._core.compile.errors import Keys
from ..module_utils._core.compile.item.keys import ITEM

_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
_SURPRISING = re.compile(r"[-+]?(0[0-7_]+|[0-9_]+(:[0-9_]+)+)\Z")  # octal, and in sixties
_TRUE_OR_FALSE = ("true", "false", "True", "False")
_TEXTS = ("command", "environment", "reload", "muster_environment")


def read_as(node: Any, keys: Keys) -> str:
    """What a scalar is taken for, as it must be written to stay what it is; "" when it is that already, or is refused
    for what it is.

    :param keys: its path. What becomes a text that a program gets counts exactly; of muster's own numbers, only what
        surprises.
    """
    written, kind = str(node.value), node.tag.rpartition(":")[2]
    of_item = keys[0] == "muster_items" and not (len(keys) > 2 and keys[2] in ITEM.names())
    kinds = ("int", "float", "bool") if of_item else ("int",)
    if node.style or kind not in kinds or _WHOLE.match(written) or written in _TRUE_OR_FALSE:
        return ""
    if not (of_item or any(key in _TEXTS for key in keys)) and not _SURPRISING.match(written):
        return ""
    if getattr(node, "read", None) is not None:  # not YAML's own word
        return "" if node.read == written else str(node.read)
    try:
        read = yaml.safe_load(written)
    except (yaml.YAMLError, ValueError):
        return ""  # a number that is none: Ansible says so
    text = ("true" if read else "false") if isinstance(read, bool) else str(read)
    return "" if text == written else text
