# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pauses and notices while a plan is being made: the ledger's, with this plan's changes."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from ..model.records import Pause


class Upkeep:
    """Kept apart from the draft's decisions about instances: these are never taken back with them."""

    def __init__(self, pauses: Mapping[str, Pause], notices: Mapping[str, Any]) -> None:
        self._known_pauses, self._known_notices = pauses, notices
        self._pauses: Dict[str, Optional[Pause]] = {}
        self._notices: Dict[str, Optional[Dict[str, Any]]] = {}

    def pause(self, key: str) -> Optional[Pause]:
        """The pause of a key, with this plan's changes."""
        return self._pauses[key] if key in self._pauses else self._known_pauses.get(key)

    def paused(self) -> List[str]:
        """Keys of what is paused; usually nothing."""
        if not self._known_pauses and not self._pauses:
            return []
        return [key for key in sorted({*self._known_pauses, *self._pauses}) if self.pause(key) is not None]

    def set_pause(self, key: str, pause: Optional[Pause]) -> None:
        """Set the pause of a key; None ends it."""
        self._pauses[key] = pause

    def notice(self, key: str) -> Optional[Dict[str, Any]]:
        """The notice of an id, with this plan's changes."""
        found: Optional[Dict[str, Any]] = self._notices[key] if key in self._notices else self._known_notices.get(key)
        return found

    def notices(self) -> List[str]:
        """Ids of the notices that are still shown."""
        return [key for key in sorted({*self._known_notices, *self._notices}) if self.notice(key) is not None]

    def set_notice(self, key: str, notice: Optional[Dict[str, Any]]) -> None:
        """Set the notice of an id, which is shown until a person acknowledges it; None forgets it."""
        if notice != self._known_notices.get(key):
            self._notices[key] = notice
        else:
            self._notices.pop(key, None)

    def changes(self) -> Dict[str, Dict[str, Any]]:
        """The changes of the ledger, as `Ledger.commit` takes them."""
        changes: Dict[str, Dict[str, Any]] = {}
        if self._pauses:
            changes["pauses"] = {key: p.to_json() if p else None for key, p in sorted(self._pauses.items())}
        if self._notices:
            changes["notices"] = dict(sorted(self._notices.items()))
        return changes
