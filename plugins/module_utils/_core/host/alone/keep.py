# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who helps a host while no monitor is there: looks at what was granted, and does what `alone.decide` says.

It ends as soon as a monitor asks again, or the lease is over. What it began goes on to its end, as that of any agent.
"""

from __future__ import annotations

import os
import time

from .. import agent, contact, observe
from ..lease import allowed, settings
from . import grants, launch
from .decide import CONTINUE, REPAIR, RESTART, Attempt, decide

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict, List, Tuple

    from .decide import Deed
    from .grants import Kept

_LOOK = 0.5  # s between two looks
_RUN = "*alone"  # in place of the number of a run, in the log of the host


def main(root: str, _verb: str) -> int:
    """Help the host with this folder until it is not alone any more. :return: exit status."""
    os.setsid()
    os.chdir(root)
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as handle:
        handle.write("0")  # who started it may be the last to be killed for lack of memory
    helper = Helper(root)
    while helper.is_needed():
        helper.look()
        time.sleep(_LOOK)
    return 0


class Helper:
    """One stretch of time without a monitor."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._noticed: Dict[Tuple[str, int], float] = {}  # instance and number -> when it was found to be needed
        self._told: Dict[str, str] = {}  # instance -> why nothing is done about it

    def is_needed(self) -> bool:
        found = settings.read(self._root)
        now = contact.now()
        return found is not None and bool(found.alone and grants.names(self._root)) and (
            launch.alone(self._root, found.alone, now) and allowed.session(self._root) != "")

    def look(self) -> None:
        """One look at everything, and what follows from it."""
        kept = [found for found in (grants.read(self._root, name) for name in grants.names(self._root)) if found]
        if not kept:
            return
        seen = observe.observe(kept[0].host, [one.grant.instance for one in kept], load=False)["instances"]
        now = contact.now()
        due: List[Tuple[Kept, Deed]] = []
        for one in kept:
            name = one.grant.instance
            deed = decide(one.grant, seen.get(name) or {}, now)
            if not deed.do:
                self._tell(one, deed)
                continue
            first = self._noticed.setdefault((name, deed.number), now)
            if deed.do == CONTINUE or now >= first + deed.wait:
                due.append((one, deed))
        if due:
            self._do(due)

    def _do(self, due: List[Tuple[Kept, Deed]]) -> None:
        began, clock = contact.now(), round(time.time(), 3)
        orders = []
        for one, deed in due:
            attempt = Attempt(deed.number, deed.do, began, deed.reason, row=deed.row, clock=clock)
            orders.append(dict(
                one.order, do=deed.do, epoch=deed.number if deed.do == RESTART else one.grant.epoch, urgent=True,
                only=list(deed.programs) if deed.do == REPAIR else None,
                reason="%s, and no monitor is there" % deed.reason,
                granted={"token": one.grant.token, "attempt": attempt._asdict()},
            ))  # fmt: skip
        agent.handle({
            "verb": "act", "host": due[0][0].host, "run": _RUN, "instances": orders,
            "lease": due[0][0].grant.session, "deadline": min(one.deadline for one, _deed in due),
        })  # fmt: skip

    def _tell(self, one: Kept, deed: Deed) -> None:
        """Write down once why a host does nothing, for people who look at it."""
        name = one.grant.instance
        if deed.reason and self._told.get(name) != deed.reason:
            line = "%s alone: nothing is done about %s: %s\n" % (
                time.strftime("%Y-%m-%dT%H:%M:%S%z"), name, deed.reason)
            with open(self._root + "/log/muster.log", "a", encoding="utf-8") as log:
                log.write(line)
        self._told[name] = deed.reason
