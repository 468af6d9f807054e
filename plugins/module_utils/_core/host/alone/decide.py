# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host does about an instance of its own while no monitor is there. Pure.

`Grant` is what the last run left for that (see `alone.grants`): how to start it, under which epochs, and what is left
of its failure budget. A host only restarts what ended by itself. It never moves, never opens a window, and never undoes
what a person stopped.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Mapping, NamedTuple, Tuple
else:
    from typing import NamedTuple

RESTART, REPAIR, CONTINUE = "restart", "repair", "continue"
REFUSED = "refused"
CONTINUE_AFTER = 30.0  # s between two tries of a gate that waits for something
AGAIN_AFTER = 5.0  # s until what was refused is tried again
_SEVERITY = ("continue", "restart_process", "restart_application", "stop_application")
_BY_HAND = "stopped"  # how a program ended, by the word of its service manager: as somebody ordered
_LEASE = "*lease"
_REPORT = "report"
_SOUND = 12  # stretches of operation after which a crash is no longer in a row with those before


class Budget(NamedTuple):
    """What is left of the failures that an instance may have, by the rules that the monitor has for them."""

    limit: int
    window: float  # s
    stable: float  # s of operation that give one back
    waits: Tuple[float, ...]  # s before the 1st, 2nd, ... restart of crashes in a row
    row: int  # crashes in a row when it was granted
    charged: Tuple[float, ...]  # moments of the failures that counted then


class Attempt(NamedTuple):
    """One start that the host made by itself."""

    number: int  # of those granted; that of a restart is its epoch
    did: str
    at: float  # s since boot
    why: str
    result: str = ""  # as of an act; empty while it goes on, or when the host ended with it
    back: float = 0.0  # when it was over
    row: int = 0  # crashes in a row, this one included
    clock: float = 0.0  # s since 1970 when it began, by the clock of the host


class Grant(NamedTuple):
    """What a run allowed the host to do by itself, and what it did."""

    instance: str
    token: str  # another one for each
    session: str  # the lease under which it was given: it ends with it
    epoch: int  # under which it runs, or was to
    until: int  # the last number
    since: float  # s since boot; since when it runs
    budget: Budget
    bus: str
    strategies: Mapping[str, str]  # program -> its running failure strategy
    programs: Tuple[Mapping[str, Any], ...]
    repair: str = ""  # of its application: "report" where what was stopped past muster is only reported
    used: int = 0  # the last number that the ledger has counted
    attempts: Tuple[Attempt, ...] = ()
    rules: str = ""  # which rules of the site these are, for the run that looks whether they still are

    @property
    def number(self) -> int:
        """The last one that was used."""
        return max([self.epoch, self.used] + [attempt.number for attempt in self.attempts])


class Deed(NamedTuple):
    """What to do about one instance now."""

    do: str = ""  # RESTART, REPAIR, CONTINUE; empty: nothing
    reason: str = ""  # a sentence
    number: int = 0
    programs: Tuple[str, ...] = ()  # of a repair
    row: int = 0
    wait: float = 0.0  # s from when it was noticed first until it is to be done


def decide(grant: Grant, seen: Mapping[str, Any], now: float) -> Deed:
    """What to do about an instance whose grant stands.

    :param seen: the instance in an observation of the host; {} when there is neither process nor claim.
    :param now: seconds since boot.
    """
    if set(seen.get("epochs") or ()) - {grant.epoch}:
        return Deed(reason="it runs under another epoch, so a run has to look at it")
    last = grant.attempts[-1] if grant.attempts else None
    if last is not None and last.result == REFUSED and now < last.back + AGAIN_AFTER:
        return Deed(reason=last.why)
    deferred = set(seen.get("deferred") or ())
    expected = [
        str(p["name"]) for p in grant.programs
        if p["start_sequence"] > 0 and not p["wait_exit"] and p["name"] not in deferred
        and p["name"] not in (seen.get("failed") or {}) and p["name"] not in (seen.get("done") or {})
    ]  # fmt: skip
    absent = [name for name in expected if name not in (seen.get("programs") or {})]
    if not absent:
        return _deferred(grant, deferred, now)
    ended = str((seen.get("ended") or {}).get("program") or "")
    if ended == _LEASE:
        return Deed(reason="it ended with the lease of the host")
    endings = {name: how for name, how in (seen.get("endings") or {}).items() if name in expected}
    if not seen.get("epochs") and not ended and endings and all(how == _BY_HAND for how in endings.values()):
        return Deed(reason="somebody stopped it by an order to its service manager")
    return _after_crash(grant, absent, ended, bool(seen.get("epochs")), now)


def _deferred(grant: Grant, deferred: Any, now: float) -> Deed:
    """All of it runs, but for what waits behind a gate."""
    tried = [attempt.at for attempt in grant.attempts if attempt.did == CONTINUE]
    if not deferred or now < max([grant.since] + tried) + CONTINUE_AFTER:
        return Deed()
    return Deed(CONTINUE, "the deferred part of %s is tried again" % grant.instance, grant.number)


def _after_crash(grant: Grant, absent: List[str], bus: str, rest: bool, now: float) -> Deed:
    """
    :param bus: the program whose end made the service manager stop the others; empty where that was not so.
    :param rest: whether something of it lives.
    """
    what = "%s of %s ended" % (bus or ", ".join(absent), grant.instance)
    strategy = max([grant.strategies.get(name, "continue") for name in ([bus] if bus else absent)], key=_SEVERITY.index)
    if not rest and not bus:
        if grant.repair == _REPORT:
            return Deed(reason="%s ended, and it is only reported (repair: report)" % grant.instance)
        strategy, what = "restart_application", "%s ended by itself" % grant.instance
    if strategy in ("continue", "stop_application"):
        return Deed(reason="%s, and its running_failure_strategy is %s" % (what, strategy))
    number = grant.number + 1
    if number > grant.until:
        return Deed(reason="%s, and this host was granted no more starts of it" % what)
    row = _row(grant, now)
    if len(charges(grant, now)) >= grant.budget.limit:
        return Deed(reason="%s, and its failure budget is spent" % what)
    if row > max(grant.budget.limit, len(grant.budget.waits)):
        return Deed(reason="%s, after %d restarts in a row" % (what, row - 1))
    wait = grant.budget.waits[min(row, len(grant.budget.waits)) - 1] if grant.budget.waits else 0.0
    if strategy == "restart_process" and rest and grant.bus not in absent:
        return Deed(REPAIR, what, number, tuple(absent), row, wait)
    return Deed(RESTART, what, number, (), row, wait)


def counted(grant: Grant) -> List[Attempt]:
    """The attempts that cost something."""
    return [attempt for attempt in grant.attempts if attempt.did != CONTINUE and attempt.result != REFUSED]


def charges(grant: Grant, now: float) -> List[float]:
    """When the failures were that still count, oldest first: each ages out, and operation gives them back."""
    made = counted(grant)
    times = [at for at in (*grant.budget.charged, *(attempt.at for attempt in made)) if at > now - grant.budget.window]
    since = _since(grant)
    regained = 0 if since is None else int(max(0.0, now - since) // max(grant.budget.stable, 0.001))
    return times[regained:]


def _since(grant: Grant) -> Any:
    """Since when it runs, or ran until it ended; None when the last start failed."""
    made = counted(grant)
    if not made:
        return grant.since
    return made[-1].back if made[-1].result == "running" else None


def _row(grant: Grant, now: float) -> int:
    made = counted(grant)
    since = _since(grant)
    sound = since is not None and now - since >= _SOUND * max(grant.budget.stable, 1.0)
    return 1 + (0 if sound else made[-1].row if made else grant.budget.row)


def to_json(attempt: Attempt) -> Dict[str, Any]:
    """As an observation reports it."""
    return {"number": attempt.number, "did": attempt.did, "at": attempt.clock, "why": attempt.why,
            "result": attempt.result, "took": round(max(0.0, attempt.back - attempt.at), 3)}
