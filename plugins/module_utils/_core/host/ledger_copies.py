# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of the ledger that the monitor leaves with witnesses, for a controller whose disk is lost.

To a witness a copy is text: it compares the digest, keeps the newest few, and gives back the newest one. Only its
account reads them.
"""

from __future__ import annotations

import hashlib
import json
import os
import re

from .machine import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, Optional

FOLDER = "etc/ledger"
KEPT = 3
LARGEST = 2 * 1024 * 1024  # characters of one
_NAME = re.compile(r"copy-[0-9]{16}-[0-9a-f]{8}\.json\Z")


def keep(request: Mapping[str, Any]) -> Dict[str, Any]:
    """Keep a copy.

    :param request: ``host``; ``copy``: {site_id, revision, at, digest, text}.
    :return: ``{"kept": revision}``; or ``{"error": sentence}``.
    """
    root, copy = str(request["host"]["root"]), request["copy"]
    revision, text = int(copy["revision"]), str(copy["text"])
    if len(text) > LARGEST or digest(text) != copy["digest"] or not 0 <= revision < 10**15:
        return {"error": "the copy of the ledger is damaged, or too large: it is not kept"}
    if not os.path.exists(root + "/etc/host.json"):
        return {"error": "this host is not prepared: it keeps no copy of the ledger"}
    folder = os.path.join(root, FOLDER)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    document = {"site_id": str(copy["site_id"]), "revision": revision, "at": float(copy["at"]),
                "digest": copy["digest"], "text": text}  # fmt: skip
    name = "copy-%016d-%s.json" % (revision, copy["digest"][:8])
    files.write_file(os.path.join(folder, name), json.dumps(document).encode("ascii"), 0o600)
    by_age = sorted(_names(folder), key=lambda known: os.stat(os.path.join(folder, known)).st_mtime)
    for old in by_age[:-KEPT]:
        files.remove(os.path.join(folder, old))
    return {"kept": revision}


def newest(root: str) -> Optional[Dict[str, Any]]:
    """The copy of the highest revision that is whole; None without one."""
    folder = os.path.join(root, FOLDER)
    for name in reversed(_names(folder)):
        try:
            data = files.read(os.path.join(folder, name))
            found = json.loads((data or b"{}").decode("utf-8"))
            text = str(found["text"])
            if digest(text) != found["digest"]:
                continue
            return {"site_id": str(found["site_id"]), "revision": int(found["revision"]), "at": float(found["at"]),
                    "digest": str(found["digest"]), "text": text}  # fmt: skip
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return None


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _names(folder: str) -> List[str]:
    """Oldest first."""
    try:
        return sorted(name for name in os.listdir(folder) if _NAME.match(name))
    except OSError:
        return []
