# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hosts' answers mean for the ledger.

Answers are merged over the phases so far: host -> act answer, or ``{"unreachable": why}``. An instance appears at
most once per host in a plan, so settling is repeatable: what is in the ledger already gives no change again. A claim
that another run has taken over since is left alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

from ..decide import notices as decide_notices
from ..decide import rollouts
from ..decide.ahead import ahead
from ..decide.failures import charge, exhausted, starting_failure_strategy, tried_slowly
from ..decide.keep_running import waits_for
from ..model import change
from ..model.plan import ALONE, CONTINUE, MOVE, NOTHING, RELOAD, REPAIR, RESTART, SIGNAL, START, STOP, Action, Plan
from ..model.records import Actor, Claim, Failure, Pending, State
from ..model.sentences import duration, listing, times
from ..model.sequence import application_of, expected_programs
from ..model.shape import as_it_runs
from ..model.site import Site
from ..model.words import CURRENT, FAILED, FREE, RUNNING, STARTING, STOPPING
from . import singles
from .act_requests import next_phase

Json = Dict[str, Any]
Changes = Dict[str, Dict[str, Any]]


def settle(
    site: Site,
    state: Union[State, Mapping[str, Any]],
    plan: Plan,
    answers: Mapping[str, Any],
    now: float,
    final: bool = False,
) -> Tuple[Changes, List[Json]]:
    """(ledger changes, trail) after the answers so far; both empty when the ledger has them already.

    :param state: the ledger after the last commit of this run.
    :param answers: host -> its act answer, merged over the phases, or ``{"unreachable": why}``.
    :param now: seconds since 1970.

    A host that did not answer keeps its claims and their actor until the deadline, and nothing is charged. Before the
    last phase the actors of what is still to come are renewed; with `final` a start that was not allowed, because a
    stop before it was not confirmed, is given up at once instead of at its deadline.
    """
    view = State.from_json(state)
    return _Settler(as_it_runs(site, view.claims, view.meta), view, plan, answers, now).settle(final)


def not_said(known: List[Json], plan: Plan, trail: List[Json]) -> List[Json]:
    """Without the lines that this run wrote after an earlier phase already.

    :param known: the newest lines of the trail.
    """
    said = {_gist(entry) for entry in known if entry.get("run") == plan.run}
    return [entry for entry in trail if _gist(entry) not in said]


def _gist(entry: Json) -> Tuple[Any, ...]:
    return tuple(entry.get(key) for key in ("what", "result", "instance", "host"))


class _Settler:
    def __init__(
        self, site: Site, state: State, plan: Plan, answers: Mapping[str, Any], now: float
    ) -> None:
        self._site, self._state, self._plan, self._answers, self._now = site, state, plan, answers, now
        self._run = plan.run
        self._claims: Dict[str, Claim] = {}
        self._wanted: Dict[str, Any] = {}
        self._notices: Dict[str, Optional[Json]] = {}
        self._trail: List[Json] = []

    def settle(self, final: bool) -> Tuple[Changes, List[Json]]:
        acts = self._plan.acts
        reached = max([a.phase for a in acts if self._answer(a) is not None] or [0])
        for action in acts:
            answer = self._answer(action)
            if answer is not None:
                self._one(action, answer, action.phase == reached)
            elif "unreachable" in (self._answers.get(action.host) or {}) and action.phase == max(reached, 1):
                self._silent(action)
        self._release_moves(reached, final)
        if final:
            self._lose(acts)
        if not final:
            self._renew(acts, reached)
        changes: Changes = {}
        if self._wanted:
            changes["wanted"] = self._wanted
        claims = {n: c.to_json() for n, c in self._claims.items() if c != self._state.claims.get(n)}
        if claims:
            changes["claims"] = claims
        notices = {key: notice for key, notice in self._notices.items() if notice != self._state.notices.get(key)}
        if notices:
            changes["notices"] = notices
        rollout = rollouts.holds_from(self._state.rollouts.get(CURRENT), self._state.claims, self._claims)
        if final and rollout is not None:
            changes["rollouts"] = {CURRENT: rollout.to_json()}
        return changes, self._trail

    def _answer(self, action: Action) -> Optional[Mapping[str, Any]]:
        results = (self._answers.get(action.host) or {}).get("results") or {}
        answer: Optional[Mapping[str, Any]] = results.get(action.instance)
        return answer

    def _claim(self, name: str) -> Optional[Claim]:
        return self._claims.get(name) or self._state.claims.get(name)

    def _ours(self, name: str) -> Optional[Claim]:
        """The claim, while this run is still the one at work on it."""
        claim = self._claim(name)
        if claim is None or claim.actor is None or claim.actor.run != self._run:
            return None
        return claim

    def _note(self, action: Action, what: str, result: str, why: str) -> None:
        request = self._plan.request
        self._trail.append(
            {
                "at": self._now,
                "who": request.get("who") or "",
                "from": request.get("from") or "",
                "what": what,
                "why": why,
                "result": result,
                "instance": action.instance,
                "host": action.host,
                "run": self._run,
            }
        )

    def _must_be_seen(self, action: Action, why: str) -> None:
        """Write a notice, which is shown until a person acknowledges it."""
        name, host = action.instance, action.host
        key = decide_notices.failure_id(name, host)
        before = self._notices.get(key) or self._state.notices.get(key)
        self._notices[key] = decide_notices.failed(before, name, host, self._now, why, self._run)

    def _silent(self, action: Action) -> None:
        why = (self._answers[action.host] or {}).get("unreachable") or "it did not answer"
        if self._ours(action.instance) is not None:
            what = "%s on %s: result unknown" % (_deed(action), action.host)
            self._note(action, what, "unknown", str(why))

    def _lose(self, acts: List[Action]) -> None:
        """The run is over. What it sent to a host that did not answer may have been done, or may still arrive."""
        for action in acts:
            claim = self._ours(action.instance)
            unreachable = "unreachable" in (self._answers.get(action.host) or {})
            if claim is not None and claim.actor is not None and claim.host == action.host and unreachable:
                self._claims[action.instance] = replace(claim, actor=replace(claim.actor, lost=True))

    def _one(self, action: Action, answer: Mapping[str, Any], latest: bool) -> None:
        if action.after == NOTHING:  # a copy without a claim
            if latest:
                self._copy(action, answer)
            return
        claim = self._ours(action.instance)
        if claim is None or claim.epoch > action.epoch:
            return
        result = answer.get("result")
        if action.kind == STOP:
            if claim.phase == STOPPING and claim.host == action.host:
                self._stop(action, claim, answer)
        elif claim.host == action.host and claim.epoch == action.epoch:
            if action.kind == RELOAD:
                self._reloaded(action, claim, answer)
            elif action.kind == SIGNAL:
                self._signalled(action, claim, answer)
            elif result == "running":
                self._running(action, claim, answer)
            elif result == "failed":
                self._failed(action, claim, answer)
            else:
                self._refused(action, claim, answer)

    def _copy(self, action: Action, answer: Mapping[str, Any]) -> None:
        done = answer.get("result") == "stopped"
        if done:
            self._conflict_ends(action)
        else:
            self._must_be_seen(action, "it could not be stopped: %s" % (answer.get("reason") or action.reason))
        what = "%s %s on %s" % (action.instance, "stopped" if done else "could not be stopped", action.host)
        self._note(action, what, str(answer.get("result")), answer.get("reason") or action.reason)

    def _conflict_ends(self, action: Action) -> None:
        """It is over when every copy that no claim allowed is confirmed to be stopped."""
        name, key = action.instance, decide_notices.conflict_id(action.instance)
        before = self._notices.get(key) or self._state.notices.get(key)
        if not before or not before.get("open"):
            return
        left = set(before["hosts"])
        for other in self._plan.acts:
            answer = self._answer(other) if (other.instance, other.after) == (name, NOTHING) else None
            if answer is not None and answer.get("result") == "stopped":
                left.discard(other.host)
        claim = self._claim(name)
        if claim is not None and claim.holds:
            left.discard(str(claim.host))
        if not left:
            self._notices[key] = None if before.get("acknowledged") else dict(before, open=False)
            self._note(action, "the conflict about %s is over" % name, "over", str(before.get("why") or ""))

    def _stop(self, action: Action, claim: Claim, answer: Mapping[str, Any]) -> None:
        name, host = action.instance, action.host
        if answer.get("result") != "stopped":
            reason = answer.get("reason") or "%s did not stop on %s" % (name, host)
            self._claims[name] = replace(claim, actor=None, reason=reason)
            self._must_be_seen(action, "it could not be stopped: %s" % reason)
            self._note(action, "%s could not be stopped on %s" % (name, host), "failed", reason)
            return
        self._note(action, "%s stopped on %s" % (name, host), "stopped", action.reason)
        if action.after == MOVE:
            return  # the start takes the claim along, once all stops are confirmed
        reason = action.reason if action.after == FAILED else ""
        if reason and not claim.until:
            self._must_be_seen(action, reason)
        self._claims[name] = replace(
            claim, phase=action.after or FREE, target=None, actor=None, deferred=(), failed={}, left=(),
            pending=None, reason=reason, since=self._now,
        )  # fmt: skip

    def _release_moves(self, reached: int, final: bool) -> None:
        """Give a moved instance to its target once every stop of it is confirmed; else, at the end, let it wait."""
        for action in self._plan.actions:
            name = action.instance
            if action.kind != START or action.phase < 2:
                continue
            claim = self._ours(name)
            if claim is None or claim.phase != STOPPING or claim.target != action.host:
                continue
            if name in next_phase(self._plan, self._answers, action.phase).get(
                action.host, []
            ):
                known = self._state.hosts.get(action.host)
                self._claims[name] = Claim(
                    host=action.host, epoch=action.epoch, phase=STARTING, actor=self._renewed(claim),
                    failures=claim.failures, crashes=claim.crashes, refusals=claim.refusals, reason=action.reason,
                    since=self._now,
                    digest=action.digest, incarnation=known.incarnation if known else "",
                    ahead=ahead(self._site, name, action.epoch, claim),
                )  # fmt: skip
            elif final and reached >= 1:
                self._give_up(action, claim)

    def _give_up(self, action: Action, claim: Claim) -> None:
        """A stop before a start was not confirmed: the claim goes to where something may still live."""
        name = action.instance
        for stop in self._plan.actions:
            if stop.instance != name or stop.kind != STOP:
                continue
            answer = self._answer(stop)
            if answer is not None and answer.get("result") == "stopped":
                continue
            reason = "%s does not start on %s: its stop on %s is not confirmed" % (name, action.host, stop.host)
            actor = None if answer is not None else claim.actor
            self._claims[name] = replace(claim, host=stop.host, actor=actor, reason=reason)
            self._note(action, reason, "held", claim.reason)
            return

    def _renewed(self, claim: Claim) -> Actor:
        process = claim.actor.process if claim.actor is not None else ""
        return Actor(self._run, self._now + self._site.settings.run_timeout, process=process)

    def _renew(self, acts: List[Action], reached: int) -> None:
        for action in acts:
            claim = self._ours(action.instance)
            if claim is None or claim.phase not in (STARTING, STOPPING) or claim.host != action.host:
                continue
            if action.phase > max(reached, 1):
                self._claims[action.instance] = replace(claim, actor=self._renewed(claim))

    def _running(self, action: Action, claim: Claim, answer: Mapping[str, Any]) -> None:
        name, host = action.instance, action.host
        joins = action.kind in (CONTINUE, REPAIR, *ALONE)
        failed = dict(answer.get("failed") or {})
        if joins:
            failed = dict({p: why for p, why in claim.failed.items() if p not in (action.programs or ())}, **failed)
        deferred = tuple(answer.get("deferred") or ())
        if action.kind in (REPAIR, *ALONE):
            deferred = claim.deferred
        self._claims[name] = replace(
            claim, phase=RUNNING, target=None, actor=None, deferred=deferred, failed=failed, left=(), reason="",
            refusals=(), since=claim.since if action.kind in (CONTINUE, *ALONE) else self._heard(action, claim),
            digest=str(answer.get("digest") or claim.digest), given=singles.given(action, claim, answer),
        )  # fmt: skip
        if action.kind in ALONE:
            what, result = singles.told(action, answer)
            self._note(action, what, result, action.reason)
            return
        waits = "; " + self._waits(name, deferred) if deferred else ""
        if failed:
            waits += "; without " + "; ".join("%s: %s" % pair for pair in sorted(failed.items()))
        if action.kind == CONTINUE and deferred == claim.deferred and failed == dict(claim.failed):
            return  # it waits as before: the trail says so already
        self._note(action, "%s runs on %s%s" % (name, host, waits), "running", action.reason)

    def _heard(self, action: Action, claim: Claim) -> float:
        """Since when it runs, or when its host answered: other hosts may have answered later."""
        since = (self._answer(action) or {}).get("since")
        heard = float(since or (self._answers.get(action.host) or {}).get("heard") or self._now)
        return max(min(heard, self._now), min(claim.since, self._now))

    def _reloaded(self, action: Action, claim: Claim, answer: Mapping[str, Any]) -> None:
        """It runs on in any case: what it did not take is pending, until the next deploy tries again."""
        name, host, reason = action.instance, action.host, str(answer.get("reason") or "")
        if answer.get("result") == "running":
            self._claims[name] = replace(claim, actor=None, digest=action.digest, pending=None)
            self._note(action, "%s takes its new files on %s" % (name, host), "running", action.reason)
            return
        why, known = reason or "%s did not say" % host, claim.pending or Pending(since=self._now, of=claim.since)
        pending = known.next(action.digest, self._now, change.RELOAD, why)
        self._claims[name] = replace(claim, actor=None, pending=pending)
        self._must_be_seen(action, "reload failed: %s" % why)
        self._note(action, "%s did not take its new files on %s" % (name, host), "failed", why)

    def _signalled(self, action: Action, claim: Claim, answer: Mapping[str, Any]) -> None:
        self._claims[action.instance] = replace(claim, actor=None)
        self._note(action, *singles.signalled(action, answer))

    def _waits(self, name: str, deferred: Tuple[str, ...]) -> str:
        """``check_common_data_bus and common_bus_interface wait for the common bus``"""
        instance = self._site.by_name().get(name)
        service = waits_for(instance, Claim(deferred=deferred)) if instance is not None else ""
        known = self._site.service(service) if service else None
        what = " for %s" % (known.label or known.name) if known is not None else ""
        return "%s %s%s" % (listing(deferred), "waits" if len(deferred) == 1 else "wait", what)

    def _failed(self, action: Action, claim: Claim, answer: Mapping[str, Any]) -> None:
        name, host = action.instance, action.host
        reason = str(answer.get("reason") or "it did not start")
        self._must_be_seen(action, "%s failed: %s" % (action.kind, reason))
        self._note(action, "%s of %s on %s failed" % (action.kind, name, host), "failed", reason)
        failed = {str(p): str(why) for p, why in (answer.get("failed") or {}).items()}
        left = self._left(action, answer, failed)
        if action.kind == CONTINUE and left:
            self._claims[name] = replace(
                claim, actor=None, failed=dict(claim.failed, **failed), deferred=tuple(answer.get("deferred") or ()),
                reason=reason,
            )  # fmt: skip
            return
        failures = charge(replace(claim, phase=STARTING), Failure(self._now, host, reason), self._site.settings)
        application, slow = application_of(self._site, name), None
        if exhausted(failures, self._site.settings) and application is not None:
            slow = tried_slowly(application, replace(claim, failures=failures), reason, self._now)
        if slow is not None:
            reason = slow.reason
        elif exhausted(failures, self._site.settings):
            reason += "; it failed %s in %s: start it by hand" % (
                times(len(failures)), duration(self._site.settings.failure_window),
            )  # fmt: skip
        self._claims[name] = replace(
            claim, phase=FAILED, target=None, actor=None, deferred=(), failed=failed, failures=failures, left=left,
            reason=reason, since=self._now, until=slow.until if slow is not None else 0.0,
        )  # fmt: skip

    def _left(
        self, action: Action, answer: Mapping[str, Any], failed: Mapping[str, str]
    ) -> Tuple[str, ...]:
        """What may still live after a failed start. In doubt too much: then the host keeps the claim until
        the next look at it."""
        if answer.get("left") is not None:
            return tuple(answer["left"])
        application = application_of(self._site, action.instance)
        if application is None:
            return ()
        known = {program.name for program in application.programs}
        strategies = {starting_failure_strategy(application, p) for p in failed if p in known}
        if (strategies or {application.starting_failure_strategy}) == {"stop"}:
            return ()
        expected = expected_programs(application, without=failed)
        if action.kind in (CONTINUE, REPAIR, *ALONE):
            return expected
        return tuple(program for program in expected if program in (answer.get("started") or ()))

    def _refused(self, action: Action, claim: Claim, answer: Mapping[str, Any]) -> None:
        """Charge nothing: the next run looks at the host again."""
        reason = str(answer.get("reason") or "%s refused" % action.host)
        what = "%s refused to %s %s" % (action.host, action.kind, action.instance)
        self._note(action, what, "refused", reason)
        refusals = claim.refusals
        if action.kind in (START, RESTART):
            refusals = (*(f for f in refusals if f.host != action.host), Failure(self._now, action.host, reason))
        self._claims[action.instance] = replace(claim, actor=None, reason=reason, refusals=refusals)


def _deed(action: Action) -> str:
    return "%s of %s" % (action.kind, action.instance)
