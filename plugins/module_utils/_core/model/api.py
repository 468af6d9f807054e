# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the monitor's API listens: loopback addresses only, so that nobody reaches it from other machines."""

from __future__ import annotations

import re
from typing import Any, Mapping

WIDER = "roles, tokens and TLS are a step of their own, and until then only this machine is let in"
_LOOPBACK = re.compile(r"127(\.(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])){3}\Z")


def is_loopback(address: str) -> bool:
    """Whether an address, as written, is one that only this machine reaches; names are not looked up."""
    return bool(_LOOPBACK.match(address)) or address == "::1"


def api_settings(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """``{"api", "api_address", "api_port"}`` of a published site's document, with defaults for an older one."""
    settings = document.get("settings") or {}
    return {
        "api": bool(settings.get("api", True)),
        "api_address": str(settings.get("api_address", "127.0.0.1")),
        "api_port": int(settings.get("api_port", 0)),
    }
