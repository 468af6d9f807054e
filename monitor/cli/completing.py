# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`muster completion`, and what its script asks for at each press of a key."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from typing import Any

from ..core.client import api
from ..core.client import complete as core
from ..core.client.commands import OK
from . import places as places_module
from .looks import Add

WITHIN_SECONDS = 2.0  # a person waits at the keyboard


def complete(parser: argparse.ArgumentParser, words: Sequence[str]) -> int:
    """Print the words that may stand in the place of the last one."""
    for word in core.candidates(parser, words, _status()):
        print(word)
    return OK


def _status() -> Mapping[str, Any]:
    """The last status document; nothing where there is none or it may not be read: options are completed even so."""
    try:
        found = places_module.find([], "", os.environ)
        remote = api.find(found.state_dir, os.environ)
        if remote is not None:
            return remote.get("/status", WITHIN_SECONDS)
        from .views import last_status

        return last_status(found)
    except Exception:
        return {}


def add_completion(add: Add) -> None:
    parser = add("completion", _show, "what makes a shell complete commands, items, instances and hosts",
                 'completion bash >/etc/bash_completion.d/muster')  # fmt: skip
    parser.add_argument("shell", choices=sorted(core.SCRIPTS), help='now: eval "$(muster completion bash)"')


def _show(options: argparse.Namespace, _found: object) -> int:
    print(core.SCRIPTS[options.shell], end="")
    return OK
