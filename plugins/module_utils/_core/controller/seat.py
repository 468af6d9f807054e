# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of several monitors leads: one key in etcd that ends with its owner's lease.

The key's creation revision is the *term*. Every commit of the leader's runs compares it in its own transaction, so a
leader that was overtaken, whatever it believes, changes nothing any more (`etcd_ledger`).
"""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any, Dict, Mapping

from ..model.place import Sitting
from . import etcd
from .etcd_ledger import LEAD

BESIDE = "beside/"  # a key per monitor that stands by or leads, which ends with its lease
WARM = "warm"  # what is in it once the monitor holds its lines and has a run parked
ANSWER = "answer/"  # a key per answer to a request that another monitor was asked
ANSWER_STAYS = 120  # s

Json = Dict[str, Any]


class Seat:
    """One monitor's use of the key. Every verb may be repeated; each raises `etcd.EtcdError`."""

    def __init__(self, client: etcd.Client, site: str, name: str, length: int = 2) -> None:
        """:param length: s, of its lease."""
        self._client, self._prefix, self._name, self._length = client, "/muster/%s/" % site, name, length
        self.lease = ""
        self.ours = False  # as of the last look
        self.warm = True  # False: it leaves the lead to others that are warm

    def grant(self, within: float) -> float:
        """Take a lease. :return: its length."""
        answer = self._ask("/v3/lease/grant", {"TTL": str(self._length)}, within)
        self.lease = str(answer["ID"])
        return float(answer["TTL"])

    def keep(self, within: float) -> float:
        """Keep the lease. :return: for how long from the question on; 0 when it is over."""
        answer = self._ask("/v3/lease/keepalive", {"ID": self.lease}, within)
        return float((answer.get("result") or {}).get("TTL") or 0)

    def drop(self, within: float) -> None:
        """The lease is over."""
        self.lease = ""

    def sit(self, within: float) -> Sitting:
        """Lead if nobody does, and look who does. One that is not warm does not while a warm one is there."""
        lead, now = self._prefix + LEAD, time.time()
        beside = self._prefix + BESIDE
        value = json.dumps({"name": self._name, "since": round(now, 3)})
        look = [etcd.get(lead), etcd.get(beside, etcd.after(beside))]
        mine = etcd.put(beside + self._name, WARM if self.warm else "", self.lease)
        question = {"compare": [etcd.made(lead, 0)], "success": [etcd.put(lead, value, self.lease), mine, *look],
                    "failure": look}  # fmt: skip
        if not self.warm:
            first = self._ask("/v3/kv/txn", {"success": look}, within)
            known_there = etcd.found((first.get("responses") or [{}])[-1])
            if any(found.value == WARM and found.key != beside + self._name for found in known_there):
                question = {"success": look}
        answer = self._ask("/v3/kv/txn", question, within)
        responses = answer.get("responses") or []
        leads, others = (etcd.found(response) for response in responses[-2:])
        names = [found.key[len(beside) :] for found in others]
        said = {found.key[len(beside) :]: found.value for found in others}
        if said.get(self._name) != (WARM if self.warm else ""):
            self._ask("/v3/kv/txn", {"success": [mine]}, within)
            names = sorted({*names, self._name})
        for found in leads:
            known = json.loads(found.value)
            self.ours = found.lease == self.lease
            return Sitting(str(known["name"]), found.create_revision, float(known["since"]), self.ours, tuple(names))
        self.ours = False
        return Sitting(beside=tuple(names))

    def stand_aside(self, within: float) -> bool:
        """Have a member of another machine lead the members, where the one of this machine does.

        Where both are lost together, the members elect first, and then every lease begins again: the next monitor leads
        two seconds later.

        :param within: s, for all of it.
        :return: whether another one leads them now.
        """
        deadline = time.monotonic() + within
        here, others = self._client.apart()
        try:
            for member in here:
                state = member.ask("/v3/maintenance/status", {}, deadline, again=True)
                if not others or state.get("leader") != state["header"]["member_id"]:
                    continue
                for other in others:  # one that answers: while it is handed over, nothing is committed
                    with contextlib.suppress(etcd.EtcdError):
                        soon = min(deadline, time.monotonic() + within / 3)
                        its = other.ask("/v3/maintenance/status", {}, soon, again=True)
                        if its.get("isLearner") or its.get("leader") != state["leader"]:
                            continue
                        target = {"targetID": its["header"]["member_id"]}
                        member.ask("/v3/maintenance/transfer-leadership", target, deadline, again=False)
                        return True
        finally:
            for client in (*here, *others):
                client.close()
        return False

    def leave(self, within: float) -> None:
        """End the lease, so that the next one leads at once."""
        if self.lease:
            self._ask("/v3/lease/revoke", {"ID": self.lease}, within)
            self.lease = ""

    def answer(self, ident: str, content: Mapping[str, Any], within: float) -> None:
        """Leave the answer to a request for the monitor that was asked."""
        lease = str(self._ask("/v3/lease/grant", {"TTL": str(ANSWER_STAYS)}, within)["ID"])
        put = etcd.put(self._prefix + ANSWER + ident, json.dumps(content), lease)
        self._ask("/v3/kv/txn", {"success": [put]}, within)

    def answered(self, ident: str, within: float) -> Json:
        """The answer to a request; {} while there is none."""
        answer = self._ask("/v3/kv/txn", {"success": [etcd.get(self._prefix + ANSWER + ident)]}, within)
        for found in etcd.found((answer.get("responses") or [{}])[0]):
            content: Json = json.loads(found.value)
            return content
        return {}

    def _ask(self, path: str, question: Mapping[str, Any], within: float) -> Json:
        return self._client.ask(path, question, time.monotonic() + within, again=True)
