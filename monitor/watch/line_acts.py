# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Acts on one line: handed over to the host at its other end, whose answers are taken in (`host.handed` of the core).

What the host says is not trusted: it answers only what it was handed, up to a size, and `plugin_utils/_host_call`
checks the answer itself.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.model import answers
from .line_logs import LineLogs

MOST = 64  # acts under way on one line
UNREAD_BYTES = 1 << 20  # that the line has not sent yet: more waits for a host that reads slowly

Reply = dict[str, Any]  # {"answer": {...}}, or {"refused": why}: nothing was begun; or {"lost": why}: it may have been


@dataclass(slots=True)
class _Act:
    done: asyncio.Future[Reply]
    parts: list[str] = field(default_factory=list)
    size: int = 0


class LineActs:
    """Belongs to one line, over all its connections."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._writer: asyncio.StreamWriter | None = None
        self._acts: dict[str, _Act] = {}
        self.version = ""  # of the agent at the other end; empty while it takes none
        self.logs = LineLogs(host)

    def opened(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.logs.opened(writer)

    def ask(self) -> None:
        """Ask the other end now; its answer is taken in like any other."""
        if self._writer is not None and self._writer.transport.get_write_buffer_size() == 0:
            self._writer.write(b"?\n")

    def beat(self, said: Mapping[str, Any]) -> None:
        """The other end answered a question."""
        version = said.get("agent")
        self.version = version if isinstance(version, str) and len(version) < 100 else ""
        self.logs.beat(said)

    def silent(self) -> None:
        """It answered no question: nothing more is handed over until it answers the next one."""
        self.version = ""

    def ended(self, why: str) -> None:
        """The connection ended: what was handed over may have been begun."""
        self._writer, self.version = None, ""
        self.logs.ended(why)
        for token in list(self._acts):
            self._finish(token, {"lost": why})

    def refusal(self) -> str:
        """Why nothing can be handed over now; empty when something can."""
        if self._writer is None or not self.version:
            return "no line to %s takes it now" % self._host
        if len(self._acts) >= MOST or self._writer.transport.get_write_buffer_size() > UNREAD_BYTES:
            return "the line to %s has enough to do" % self._host
        return ""

    def hand_over(self, token: str, version: str, request: Mapping[str, Any]) -> asyncio.Future[Reply]:
        """Only after `refusal` said nothing, in the same turn of the loop. :return: what becomes of it."""
        assert self._writer is not None
        done: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._acts[token] = _Act(done)
        order = {"act": token, "agent": version, "request": request}
        self._writer.write(json.dumps(order, separators=(",", ":")).encode() + b"\n")
        return done

    def take(self, said: Mapping[str, Any]) -> None:
        """Take in what the other end said about an act; anything else is ignored."""
        token = next((str(said[key]) for key in ("part", "acted", "refused") if key in said), "")
        act = self._acts.get(token)
        if act is None:
            return
        if "refused" in said and not act.parts:
            self._finish(token, {"refused": str(said.get("why"))[:300]})
        elif "part" in said:
            text = said.get("text")
            act.parts.append(text if isinstance(text, str) else "")
            act.size += len(act.parts[-1])
            if act.size > answers.LARGEST:
                self._finish(token, {"lost": "answers nonsense: more than %d characters" % answers.LARGEST})
        elif "acted" in said:
            self._finish(token, self._read(act, said))

    def _read(self, act: _Act, said: Mapping[str, Any]) -> Reply:
        if said.get("why"):
            return {"lost": str(said["why"])[:300]}
        try:
            answer = json.loads("".join(act.parts))
        except (ValueError, RecursionError):
            return {"lost": "answers nonsense: no JSON"}
        return {"answer": answer}

    def _finish(self, token: str, reply: Reply) -> None:
        done = self._acts.pop(token).done
        if not done.done():
            done.set_result(reply)
