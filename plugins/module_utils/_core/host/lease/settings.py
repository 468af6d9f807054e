# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``etc/lease.json``: what a host needs to hold a lease, and to be a witness. Only its account reads the keys in it."""

from __future__ import annotations

import json
import os

from ..machine import files
from .allowed import SETTINGS_FILE
from .messages import Keys
from .terms import Terms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Mapping, Optional, Tuple

    Address = Tuple[str, int]


class Settings:
    """The content of ``etc/lease.json``."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        """:raises (KeyError, TypeError, ValueError, AttributeError): when it is damaged."""
        self.site = str(document["site_id"])
        self.host = str(document["host"])
        self.address: Address = (str(document["address"]), int(document["port"]))
        self.terms = Terms(float(document["length"]), float(document["margin"]), float(document["error"]))
        self.longest = float(document["longest"])
        self.alone = float(document.get("alone") or 0.0)  # s without a monitor until it helps itself; 0: never
        self.witnesses: Dict[str, Address] = {
            str(name): (str(address), int(port)) for name, (address, port) in document["witnesses"].items()
        }
        masters = [bytes.fromhex(text) for text in document.get("masters") or ()]
        own = [(bytes.fromhex(name), bytes.fromhex(key)) for name, key in document.get("keys") or ()]
        self.masters = Keys(masters)
        self.own = Keys(own=own)
        self.is_witness = bool(masters)


def read(root: str) -> Optional[Settings]:
    """The settings of a host; None when it has none.

    :raises ValueError: when the file is damaged.
    :raises OSError: when it cannot be read.
    """
    data = files.read(os.path.join(root, SETTINGS_FILE))
    if data is None:
        return None
    try:
        return Settings(json.loads(data.decode("utf-8")))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError("%s/%s is damaged (%r): deploy again" % (root, SETTINGS_FILE, error)) from None


def stamp(root: str) -> Tuple[int, int, int]:
    """Changes when the file does."""
    try:
        found = os.stat(os.path.join(root, SETTINGS_FILE))
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_mtime_ns, found.st_size)
