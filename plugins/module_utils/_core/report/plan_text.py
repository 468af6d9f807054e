# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan as text: what `muster plan` and check mode print, and what the golden scenarios compare. Pure.

Every field that decides is shown, empty ones aside: a key that a record gains later is shown under its own name.
Only `NOT_SHOWN` is left out.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence

from ..decide.draft import WHOLE
from ..model.sentences import clock, listing
from ..model.shape import SHAPES
from .story import sentence

# Of a plan: a digest over its inputs, the site's definition among them, and the kernels' boot ids.
NOT_SHOWN = ("fingerprint", "boots")
EVERYTHING = 10**9  # names of one list
SHORT = 8  # characters of a digest
TIMES = ("at", "since", "until", "deadline", "expires", "due")
AFTER = {
    "free": "then free",
    "failed": "then failed",
    "move": "then it moves",
    "nothing": "no claim covers it",
}
Json = Mapping[str, Any]


def plan_lines(plan: Json, now: float) -> List[str]:
    """The lines of a plan: its head, its actions with candidates, what waits, what it commits, and its trail.

    :param plan: as `model.plan.Plan.to_json`.
    :param now: when it was made, in seconds since 1970: times of another day are shown with their date.
    """
    return _Text(plan, now).lines()


def settled_lines(plan: Json, changes: Json, trail: Sequence[Json], now: float) -> List[str]:
    """The lines of an outcome: what `plan.settle` commits after the hosts answered."""
    text = _Text(plan, now)
    return text.commits(changes) + text.trail(trail)


class _Text:
    """One plan on its way to lines. A reason that an action gave is not repeated in the rows about its instance."""

    def __init__(self, plan: Json, now: float) -> None:
        self._plan, self._now = plan, now
        self._given = {(action.get("instance"), action.get("reason")) for action in plan.get("actions", ())}

    def lines(self) -> List[str]:
        plan = self._plan
        shown: List[str] = [self._head()]
        candidates: Dict[str, Sequence[Json]] = dict(plan.get("candidates") or {})
        for action in plan.get("actions") or ():
            shown.append(_action(action))
            shown += [_candidate(row) for row in candidates.pop(action.get("instance") or "", ())]
        if not plan.get("actions"):
            whole = (plan.get("request") or {}).get("kind") in WHOLE
            shown.append("nothing to do: everything is as wanted" if whole else "no host has anything to do")
        for name, rows in candidates.items():
            shown.append("hosts for %s:" % name)
            shown += [_candidate(row) for row in rows]
        shown += ["intent %s" % self._intent(intent) for intent in plan.get("intents") or ()]
        shown += [
            "%s waits for another run until %s" % (name, self._clock(until))
            for name, until in (plan.get("waits") or {}).items()
        ]
        shown += ["%s follows in a later round of the same run" % name for name in plan.get("turns") or ()]
        known = ("run", "revision", "expires", "request", "actions", "changes", "trail", "candidates", "intents",
                 "waits", "turns", "again_after")  # fmt: skip
        if plan.get("again_after"):
            shown.append("this run goes on with the rollout after %g s" % plan["again_after"])
        shown += self._rest(plan, known + NOT_SHOWN)
        return shown + self.commits(plan.get("changes") or {}) + self.trail(plan.get("trail") or ())

    def commits(self, changes: Json) -> List[str]:
        """One row per record of the ledger; empty without any."""
        rows = []
        for kind, records in changes.items():
            for name, record in records.items():
                show = {
                    "wanted": self._wanted,
                    "claims": self._claim,
                    "hosts": self._host,
                    "pauses": self._pause,
                    "notices": self._notice,
                    "rollouts": self._rollout,
                    "moves": self._move,
                }.get(kind)
                word = kind[:-1] if kind in ("claims", "hosts", "pauses", "notices", "rollouts") else kind
                if record is None:
                    text = "forgotten"
                elif (kind, name) == ("meta", SHAPES):
                    text = listing(["%s of %s" % (shape, one.get("name")) for shape, one in sorted(record.items())])
                elif show is None:
                    text = self._value(kind, record)
                else:
                    text = show(name, record)
                rows.append("  %s %s: %s" % (word, name, text))
        return ["the ledger gets"] + rows if rows else []

    def trail(self, entries: Sequence[Json]) -> List[str]:
        rows = []
        for entry in entries:
            text = "%s %s" % (self._clock(entry.get("at") or 0.0), entry.get("who") or "?")
            if entry.get("from") and entry["from"] != entry.get("who"):
                text += "@%s" % entry["from"]
            text += ": %s" % (entry.get("what") or "")
            facts = [str(entry[key]) for key in ("instance", "host") if entry.get(key)]
            facts += ["run %s" % entry["run"]] if entry.get("run") else []
            facts += self._rest(entry, ("at", "who", "from", "what", "why", "result", "instance", "host", "run"))
            text += " [%s]" % ", ".join(facts) if facts else ""
            text += " -> %s" % entry["result"] if entry.get("result") else ""
            rows.append("  " + text + self._why(entry.get("instance"), entry.get("why")))
        return ["the trail gets"] + rows if rows else []

    def _head(self) -> str:
        plan = self._plan
        request: Json = plan.get("request") or {}
        who = request.get("who") or "somebody"
        if request.get("from") and request["from"] != who:
            who += "@%s" % request["from"]
        hosts = ("host", "console", "keep")
        about = [str(request[key]) for key in hosts if request.get(key)]
        about += self._rest(request, ("kind", "who", "from", "why", *hosts))
        return "run %s: %s for %s, over revision %s, valid until %s%s" % (
            plan.get("run"), " ".join([str(request.get("kind"))] + about), who, plan.get("revision"),
            self._clock(plan.get("expires") or 0.0, seconds=True),
            ": %s" % request["why"] if request.get("why") else "",
        )  # fmt: skip

    def _intent(self, intent: Json) -> str:
        about = intent.get("instance") or intent.get("host") or "?"
        if intent.get("instance") and intent.get("host"):
            about += " on %s" % intent["host"]
        rest = self._rest(intent, ("id", "instance", "host", "outcome", "why"))
        facts = ", ".join([str(intent.get("outcome"))] + rest)
        return "%s about %s: %s%s" % (
            intent.get("id") or "without id", about, facts, self._why(intent.get("instance"), intent.get("why"))
        )  # fmt: skip

    def _wanted(self, name: str, record: Json) -> str:
        text = str(record["state"]) + (" on %s" % record["host"] if record.get("host") else "")
        text += ", by %s" % (record.get("by") or "?")
        text += " at %s" % self._clock(record["at"]) if record.get("at") else ""
        rest = self._rest(record, ("state", "host", "by", "at", "why"))
        return ", ".join([text] + rest) + self._why(name, record.get("why"))

    def _claim(self, name: str, record: Json) -> str:
        text = str(record["phase"]) + (" on %s" % record["host"] if record.get("host") else "")
        text += " to %s" % record["target"] if record.get("target") else ""
        facts = [text, "epoch %s" % record.get("epoch")]
        if record.get("actor"):
            actor = record["actor"]
            lost = ", without an answer" if actor.get("lost") else ""
            facts.append("run %s until %s%s" % (actor.get("run"), self._clock(actor.get("deadline") or 0.0), lost))
        if record.get("until"):
            facts.append("starts again at %s" % self._clock(record["until"], seconds=True))
        for key, word in (("deferred", "deferred"), ("left", "still runs")):
            facts += ["%s %s" % (word, _names(record[key]))] if record.get(key) else []
        facts += ["%s failed (%s)" % (program, why) for program, why in sorted((record.get("failed") or {}).items())]
        facts += ["failure %s" % self._failure(failure) for failure in record.get("failures") or ()]
        facts += ["crash %s" % self._failure(crash) for crash in record.get("crashes") or ()]
        facts += ["refusal %s" % self._failure(refusal) for refusal in record.get("refusals") or ()]
        facts += ["since %s" % self._clock(record["since"])] if record.get("since") else []
        facts += ["configuration %s" % record["digest"][:SHORT]] if record.get("digest") else []
        facts += ["incarnation %s" % record["incarnation"]] if record.get("incarnation") else []
        facts += self._pending(record.get("pending") or {})
        known = ("phase", "host", "target", "epoch", "actor", "until", "deferred", "left", "failed", "failures",
                 "crashes", "refusals", "pending", "since", "digest", "incarnation", "reason")  # fmt: skip
        return ", ".join(facts + self._rest(record, known)) + self._why(name, record.get("reason"))

    def _pending(self, pending: Json) -> List[str]:
        if not pending:
            return []
        facts = ["pending (%s) configuration %s" % (pending.get("how"), pending["digest"][:SHORT])]
        facts += ["of %s" % self._clock(pending["since"])] if pending.get("since") else []
        facts += ["with that of %s" % self._clock(pending["of"])] if pending.get("of") else []
        facts += ["not taken: %s" % pending["why"]] if pending.get("why") else []
        facts += ["another one since %s" % self._clock(pending["first"])] if pending.get("first") else []
        return [" ".join(facts + self._rest(pending, ("digest", "since", "how", "why", "of", "first")))]

    def _failure(self, failure: Sequence[Any]) -> str:
        at, host, why = failure
        return "at %s on %s (%s)" % (self._clock(at), host, why)

    def _host(self, name: str, record: Json) -> str:
        facts = [str(record.get("state"))]
        facts += ["since %s" % self._clock(record["since"])] if record.get("since") else []
        facts += ["by %s" % record["by"]] if record.get("by") else []
        facts += ["incarnation %s" % record["incarnation"]] if record.get("incarnation") else []
        drain = record.get("drain")
        if drain:
            facts.append("drained by %s since %s" % (drain.get("by"), self._clock(drain.get("since") or 0.0)))
            facts += ["until %s" % self._clock(drain["until"])] if drain.get("until") else []
            facts.append("%s at a time" % (drain.get("at_a_time") or "all"))
            facts += ["because %s" % drain["why"]] if drain.get("why") else []
            facts += self._rest(drain, ("by", "since", "until", "at_a_time", "why"))
        planned = record.get("planned")
        if planned:
            facts.append("to be drained by %s at %s" % (planned.get("by"), self._clock(planned.get("since") or 0.0)))
            facts += ["until %s" % self._clock(planned["until"])] if planned.get("until") else []
            facts.append("%s at a time" % (planned.get("at_a_time") or "all"))
            facts += self._rest(planned, ("by", "since", "until", "at_a_time"))
        facts += ["left behind there %s" % _names(record["left"])] if record.get("left") else []
        facts += self._rest(record, ("state", "since", "by", "incarnation", "drain", "planned", "evidence", "left"))
        return ", ".join(facts) + self._why(name, record.get("evidence"))

    def _pause(self, name: str, record: Json) -> str:
        facts = ["by %s at %s" % (record.get("by") or "?", self._clock(record.get("at") or 0.0))]
        facts += ["until %s" % self._clock(record["until"])] if record.get("until") else []
        facts += self._rest(record, ("by", "at", "until", "why"))
        return ", ".join(facts) + self._why(name, record.get("why"))

    def _notice(self, name: str, record: Json) -> str:
        facts = [str(record[key]) for key in ("what", "instance") if record.get(key)]
        facts += ["on %s" % _names(record["hosts"])] if record.get("hosts") else []
        if "open" in record:
            facts.append("open" if record["open"] else "over")
        facts += self._rest(record, ("what", "instance", "hosts", "open", "why"))
        return ", ".join(facts) + self._why(str(record.get("instance") or ""), record.get("why"))

    def _rollout(self, name: str, record: Json) -> str:
        facts = ["%s, %s" % (record.get("id"), record.get("state"))]
        facts.append("batch %d of %d" % (record.get("at", 0) + 1, len(record.get("batches") or ())))
        facts += ["[%s]" % _names(batch) for batch in record.get("batches") or ()]
        for one, source in (record.get("sources") or {}).items():
            facts.append("%s from %s to %s" % (one, source[:SHORT], record["targets"][one][:SHORT]))
        facts += ["%s failed (%s)" % pair for pair in (record.get("failed") or {}).items()]
        for key in ("since", "began", "due"):
            facts.append("%s %s" % (key, self._clock(record.get(key) or 0.0)))
        facts += ["lacked a part at %s" % self._clock(record["lacked"])] if record.get("lacked") else []
        facts += self._rest(record, ("id", "state", "at", "batches", "sources", "targets", "failed", "since", "began",
                                     "due", "lacked", "reason"))  # fmt: skip
        return ", ".join(facts) + self._why(None, record.get("reason"))

    def _move(self, name: str, record: Json) -> str:
        return ", ".join(self._rest(record, ("why",))) + self._why(name, record.get("why"))

    def _rest(self, record: Json, known: Sequence[str]) -> List[str]:
        """What else a record says, under its own names."""
        return [
            "%s %s" % (key.replace("_", " "), self._value(key, value))
            for key, value in record.items()
            if key not in known and value not in (None, "", False, 0, [], {}, ())
        ]

    def _value(self, key: str, value: Any) -> str:
        if isinstance(value, Mapping):
            return listing(["%s %s" % (k, self._value(k, v)) for k, v in value.items()], most=EVERYTHING)
        if isinstance(value, (list, tuple)):
            return listing([self._value(key, entry) for entry in value], most=EVERYTHING)
        if isinstance(value, bool):
            return "yes" if value else "no"
        if key in TIMES and isinstance(value, (int, float)):
            return self._clock(value)
        return "nothing" if value is None else str(value)

    def _why(self, instance: Optional[str], why: Any) -> str:
        if not why:
            return ""
        return ": reason as above" if (instance, why) in self._given else ": %s" % why

    def _clock(self, at: float, seconds: bool = True) -> str:
        return clock(float(at), self._now, seconds=seconds)


def _action(action: Json) -> str:
    facts = ["phase %s" % action.get("phase")]
    facts += ["epoch %s" % action["epoch"]] if action.get("epoch") else []
    facts += ["configuration %s" % action["digest"][:SHORT]] if action.get("digest") else []
    facts += ["urgent"] if action.get("urgent") else []
    facts += ["programs %s" % _names(action["programs"])] if action.get("programs") else []
    facts += [AFTER.get(action["after"], "then %s" % action["after"])] if action.get("after") else []
    facts += ["%s with %s" % pair for pair in sorted((action.get("given") or {}).items())]
    known = ("action", "instance", "host", "target", "epoch", "phase", "reason", "urgent", "programs", "after",
             "digest", "given")  # fmt: skip
    facts += ["%s %s" % (key, value) for key, value in action.items() if key not in known and value]
    return sentence(action, ", ".join(facts))


def _candidate(row: Json) -> str:
    figures = "%s: needs %g, %g of %g reserved, %g in use" % (
        "fits" if row.get("fits") else "does not fit", row["load"], row["reserved"], row["limit"], row["effective"]
    )  # fmt: skip
    return "    %s %s%s" % (row["host"], figures, ": %s" % row["why"] if row.get("why") else "")


def _names(names: Sequence[Any]) -> str:
    return listing([str(name) for name in names], most=EVERYTHING)
