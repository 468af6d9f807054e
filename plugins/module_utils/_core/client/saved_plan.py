# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of saved plans: written for their owner only, and read with a limit."""

from __future__ import annotations

import os
from typing import Any, Dict, Mapping

from ..model.saved_plan import LONGEST, NoPlan, as_text, digest, is_digest, read

__all__ = ("NoPlan", "digest_of_file", "is_digest", "request_in_file", "write")


def digest_of_file(path: str) -> str:
    """:raises NoPlan: when it cannot be read, or is no saved plan."""
    return digest(_read(path))


def request_in_file(path: str) -> Dict[str, Any]:
    """The request that the file of a plan names; {} where it cannot be read, or there is none.

    Only the way of a command depends on it: what is done is what the controller knows by the plan's digest.
    """
    try:
        request = _read(path).get("request")
    except NoPlan:
        return {}
    return request if isinstance(request, dict) else {}


def _read(path: str) -> Dict[str, Any]:
    try:
        with open(path, "rb") as stream:
            data = stream.read(LONGEST + 1)
    except OSError as error:
        raise NoPlan("cannot be read: %s" % error.strerror) from None
    return read(data)


def write(path: str, document: Mapping[str, Any]) -> None:
    """Write a new file.

    :raises NoPlan: when it cannot be written, or something is there already.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise NoPlan("is there already: name a new file") from None
    except OSError as error:
        raise NoPlan("cannot be written: %s" % error.strerror) from None
    with os.fdopen(handle, "w", encoding="ascii") as stream:
        stream.write(as_text(document))
