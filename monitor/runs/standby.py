# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run started ahead: the playbook `standby`, parked at a FIFO until intents are written to it.

It has loaded interpreter, imports and inventory and opened its connections before the alert. One line of JSON,
{"intents": [...]} or {"request": {...}}, sets it to work; an end of the FIFO without a line ends it. {"look": {...}}
has it plan over what was seen, beside; it stays parked. After its work it parks again, `ROUNDS` times in all.
`monitor.runs.pool` keeps one ready.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import inventory_stamp
from .runs import Job, Runs

ROUNDS = 5  # of the playbook
F_SETPIPE_SZ = 1031
PIPE_BYTES = 1 << 20


class Standby:
    """One run: `starting`, `parked`, `working` or `over`."""

    def __init__(
        self,
        runs: Runs,
        fifo: Path,
        deadline: float,
        leave_out: Sequence[str] = (),
        order: Mapping[str, Any] | None = None,
    ) -> None:
        """
        :param order: makes it a cold run: it takes this order from a file instead of parking, and goes to no other
            hosts first, since one of them may not answer.

        :raises NoAnsible, OSError: when it cannot be started.
        """
        self._runs = runs
        self._deadline = deadline  # s for its work
        self._fifo = fifo
        self._handle: int | None = None
        self.state = "starting" if order is None else "working"
        self.dismissed = False
        self.stale = False  # another one will take its place
        self.last = order is not None  # it does not park again
        self.until = 0.0  # when it is too old
        self._round = 1
        self._looks = 0
        self.inventory = inventory_stamp.stamp(runs.inventory)
        extra: dict[str, Any] = {"muster_standby_fifo": str(fifo)}
        try:
            if order is None:
                os.mkfifo(fifo, 0o600)
            else:
                extra["muster_standby_warm"] = False
                with open(os.open(fifo, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as handle:
                    handle.write(_line(order))
            self.job: Job = runs.begin("standby", extra, deadline, order is None, leave_out)
            self.job.result = self._beside(".result")
        except BaseException:
            fifo.unlink(missing_ok=True)
            raise

    def try_to_park(self) -> bool:
        """Open the FIFO if the run waits at its other end. :return: whether it is parked now."""
        if not self._beside(".ready%d" % self._round).exists():
            return False
        try:
            self._handle = os.open(self._fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno in (errno.ENXIO, errno.ENOENT):
                return False
            raise
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._handle, F_SETPIPE_SZ, PIPE_BYTES)
        self.state = "parked"
        self._runs.parks(self.job)
        return True

    @property
    def returns(self) -> bool:
        """At work: whether it parks once more afterwards. Parked: whether it would after one more order."""
        return not self.last and self._round + (self.state == "parked") <= ROUNDS

    def work(self, order: Mapping[str, Any]) -> None:
        """Hand an order over without waiting. :raises OSError: when the run does not take it."""
        assert self._handle is not None
        line = _line(order)
        self.state = "over"
        self._round += 1
        self._beside(".result").unlink(missing_ok=True)
        self._runs.at_work(self.job, self._deadline)
        try:
            if os.write(self._handle, line) < len(line):
                raise BlockingIOError(errno.EAGAIN, "it does not read its FIFO")
        finally:
            self._close()
        self.state = "working"

    def look(self, seen: Mapping[str, Any], term: Mapping[str, Any]) -> Path:
        """Have a parked run plan over what was seen.

        :param seen: see `plugin_utils/_look`. :param term: what every order has.
        :return: where its answer will be. :raises OSError: when the run does not take it.
        """
        assert self._handle is not None
        self._looks += 1
        answer, content = self._beside(".looked%d" % self._looks), self._beside(".look")
        content.unlink(missing_ok=True)
        with open(os.open(content, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as handle:
            json.dump(seen, handle, separators=(",", ":"))
        os.write(self._handle, _line({**term, "look": {"seen": str(content), "answer": str(answer)}}))
        return answer

    def dismiss(self) -> None:
        """End it: a parked run by closing its FIFO, a starting one by a signal."""
        if self.state == "parked":
            self._close()
            self._runs.follow(self.job)
            self._runs.limit(self.job, 5.0)
        elif self.state == "starting":
            self._runs.end(self.job, "it was no longer needed")
        else:
            return
        self.state, self.dismissed = "over", True

    def result(self) -> dict[str, Any]:
        """What the run left as its result; empty when it left nothing."""
        return self._runs.report(self.job)

    def clean(self) -> None:
        self.state = "over"
        self._close()
        ready = [self._beside(".ready%d" % number) for number in range(1, ROUNDS + 1)]
        looked = [self._beside(".looked%d" % self._looks), self._beside(".look")]
        for path in (self._fifo, self._beside(".result"), *ready, *looked):
            path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _beside(self, suffix: str) -> Path:
        return self._fifo.with_name(self._fifo.name + suffix)


def _line(order: Mapping[str, Any]) -> bytes:
    return json.dumps(order, separators=(",", ":")).encode() + b"\n"
