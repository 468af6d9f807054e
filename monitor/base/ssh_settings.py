# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the settings of runs say about ssh to every host: the monitor's lines use it too, or they would not get there.

Pure. What a host's own variables say comes first.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Of a connection that others share, or of a terminal: a line has its own connection, and none.
_NOT_OF_LINES = ("controlmaster", "controlpath", "controlpersist", "requesttty", "loglevel", "batchmode")
_ALONE = ("-t", "-tt", "-M", "-MM", "-q", "-v", "-vv", "-vvv", "-f", "-N")
_WITH_VALUE = ("-S", "-O")


@dataclass(frozen=True, slots=True)
class SshSettings:
    user: str = ""
    port: str = ""
    key: str = ""
    arguments: tuple[str, ...] = ()
    folder: str | None = None  # relative names in them mean this one; None: the monitor's own

    def with_host(self, ssh: Mapping[str, Any]) -> dict[str, Any]:
        """How ssh reaches a host: what its variables say, and these settings for the rest."""
        whole = dict(ssh)
        for name, value in (("user", self.user), ("port", self.port), ("key", self.key)):
            whole[name] = whole.get(name) or value
        whole["arguments"] = of_lines([*map(str, whole.get("arguments") or ()), *self.arguments])
        return whole


def of_lines(arguments: Sequence[str]) -> list[str]:
    """Those arguments of ssh that say how a host is reached."""
    kept: list[str] = []
    words = iter(arguments)
    for word in words:
        if word in _WITH_VALUE:
            next(words, None)
        elif word == "-o" or (word.startswith("-o") and len(word) > 2):
            option = next(words, "") if word == "-o" else word[2:]
            name = option.replace("=", " ").split()
            if name and name[0].lower() not in _NOT_OF_LINES:
                kept += ["-o", option]
        elif word not in _ALONE and not word.startswith(_WITH_VALUE):
            kept.append(word)
    return kept


def split(text: str) -> list[str]:
    """Arguments as Ansible splits them; what it would refuse is none."""
    try:
        return shlex.split(text)
    except ValueError:
        return []
