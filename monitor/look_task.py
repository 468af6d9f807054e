# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The regular look at all hosts over the lines: they observe, and the parked run plans over what they saw.

It costs a tenth of a reconcile by playbook. It acts on nothing: what it finds to do, and what it cannot look at, is
left to a reconcile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from .base.files import Stamp, file_stamp
from .base.journal import Journal
from .core.controller import publish
from .core.controller.places import SITE_FILE
from .core.controller.way import host_facts
from .judge.effects import Look
from .runs.pool import Pool
from .watch.looks import NoLook, Ways, look

Json = dict[str, Any]
Over = Callable[[Mapping[str, Any], str], None]  # the answer, why a reconcile has to follow


class LookTask:
    """One per monitor; at most one look at a time."""

    def __init__(self, state_dir: Path, lines: Ways, pool: Pool | None, journal: Journal, over: Over) -> None:
        """:param over: called with what came of a look."""
        self._state_dir = state_dir
        self._lines = lines
        self._pool = pool
        self._journal = journal
        self._over = over
        self._hosts: tuple[Stamp | None, list[Json]] = (None, [])  # what requests say of each
        self._told = ""
        self._task: asyncio.Task[None] | None = None

    def begin(self, asked: Look, revision: int, term: Mapping[str, Any]) -> bool:
        """:param revision: of the ledger, from before the hosts are observed. :return: whether it began."""
        if self._pool is None or self._task is not None:
            return False
        self._task = asyncio.get_running_loop().create_task(self._go(asked, revision, term, self._pool))
        return True

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _go(self, asked: Look, revision: int, term: Mapping[str, Any], pool: Pool) -> None:
        answer: Json = {}
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            facts = {host["host"]: host for host in await asyncio.to_thread(self._facts)}
            without = sorted(set(asked.leave_out) & set(facts))
            seen = await look(self._lines, {name: facts[name] for name in facts if name not in without})
            given = {"hosts": seen, "without": without, "revision": revision, "why": asked.why}
            answer = await pool.plan_over(given, term)
            why = str(answer.get("why") or "")
        except NoLook as error:
            why = "the lines do not show every host: %s" % error
        except (OSError, ValueError, KeyError, TypeError) as error:
            why = "a look over the lines failed: %s: %s" % (type(error).__name__, error)
        finally:
            self._task = None
        if why != self._told or not why:
            self._journal.say("look", why, seconds=round(loop.time() - began, 2))
        self._told = why
        self._over(answer, why)

    def _facts(self) -> Iterable[Json]:
        """:raises KeyError: when there is no site yet."""
        stamp = file_stamp(self._state_dir / SITE_FILE)
        if stamp != self._hosts[0]:
            published = publish.read_published(str(self._state_dir), SITE_FILE)
            site = published["site"]
            known = [host_facts(site, published["site_id"], host["name"]) for host in site["hosts"]]
            self._hosts = (stamp, known)
        return self._hosts[1]
