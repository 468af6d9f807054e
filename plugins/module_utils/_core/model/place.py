# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the ledger of a site is, as the site says. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Mapping, NamedTuple, Tuple

MOST_CONTROLLERS = 3


@dataclass(frozen=True)
class LedgerPlace:
    """Without addresses: in the state folder of the controller."""

    etcd: Tuple[str, ...] = ()  # addresses of members
    ca: str = ""  # files on each controller
    cert: str = ""
    key: str = ""
    lease: int = 2  # s that a monitor leads without a word of etcd

    def __bool__(self) -> bool:
        return bool(self.etcd)


class Sitting(NamedTuple):
    """Which of several monitors leads, as etcd says."""

    name: str = ""  # "" for nobody
    term: int = 0
    since: float = 0.0  # s since 1970, by the leader's clock
    ours: bool = False
    beside: Tuple[str, ...] = ()  # monitors that run


def place_from_json(document: Mapping[str, Any]) -> LedgerPlace:
    known: Dict[str, Any] = dict(document)
    return LedgerPlace(**dict(known, etcd=tuple(known.get("etcd") or ())))
