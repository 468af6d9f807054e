# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of a run: one request in, one answer out, beside the ledger.

It reads the clock and the ledger, lets the pure core decide, commits before anything is acted on, and publishes. Every
error a person can do something about comes back as ``{"error": <sentence>}``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Tuple

from ..decide.draft import PlanError
from ..model import site as site_model
from ..model.plan import CONFIGURE, REVIVE, Plan
from ..model.records import apply_changes
from ..plan.act_requests import act_requests
from ..plan.outcome import not_said, settle
from ..plan.plan import make_plan
from ..requests import shrink
from . import (
    alarm_calls,
    asked,
    executing,
    joining,
    last_seen,
    last_words,
    lease_ways,
    leases,
    ledger_files,
    ledgers,
    looking,
    previews,
    publish,
    put_back,
    run_process,
    saved_plans,
    shared,
)  # fmt: skip
from . import ledger as controller_ledger
from .places import SITE_FILE, WATCH_FILE

SITE_CHANGES = ("deploy", "forget")  # the kinds of run that may make another site the valid one
NOT_DEPLOYED = "this inventory is not what was deployed last, and this run works with what was: deploy to apply it"
ATTEMPTS = 8  # attempts to plan and commit; each lost race costs one
DAY = 86400.0  # s

Json = Dict[str, Any]


class Refused(Exception):
    """What was asked cannot be done; the text is the sentence for a person."""


def handle(request: Mapping[str, Any]) -> Json:
    """Answer one request; ``verb`` is one of:

    ``open_site`` {site, create} -> {site_id, changed, revision, mark, lease}
        the ledger of this site, made when `create` and there is none; `mark` is of the site that was deployed last.
    ``plan`` {site, digests, config_digests, observations, request, observed_revision?, observed_mark?, process?} ->
        {plan, requests, phases, revision, warnings}
        the plan, committed and published; `requests` are phase 1's act requests by host. Without `digests`, the
        published ones serve; without `observations`, what the hosts said last, but for those not believed up. Only a
        deploy changes the site: any other run works over what was deployed, not over its own inventory. With `save`
        {approve} the plan is kept for the request `apply`, and `saved` is the document for a person's file. With
        `look`, a plan that is not idle is not committed.
    ``phase`` {site, plan, phase, answers} -> {requests}
        a later phase's act requests; commits what the hosts confirmed so far.
    ``settle`` {site, plan, answers} -> {revision, trail}
        the outcome, committed and published.
    ``status`` {site, observations, observed_revision?, monitor?} -> {status, table}
        hosts that were not observed are shown as they were seen last.
    ``join`` {site, here} -> {changed}
        of several controllers this one, `here`, notes in its state folder where the ledger is.
    ``trail`` {site, after?, limit?, instance?} -> {trail}
    ``explain`` {site, item} -> {explain}
        where each application of an item is and why, and why each candidate host is or is not suitable.
    ``what_if`` {site, assume} -> {what_if}
        what would happen under some assumptions: `report.what_if`. Like `explain`, over what the hosts said last.
    ``capture`` {site, request} -> {given}
        all that a plan for `request` depends on now: `report.scenario`. Like `explain`, over what the hosts said last.
    ``ways`` {site, lease, listening, asked} -> {problems, hints, refusal}: `lease_ways.judge`.
    ``exec``, ``exec_over``: `executing.begin`, `executing.over`.
    ``alarms``, ``past``, ``availability``, ``handover``: `alarm_calls.answer`. ``adopt``: `adopt.adopt`.

    ``site`` is the compiled site's document, or ``state_dir`` names the folder whose published one serves. With
    ``check`` nothing is committed, published or made.
    """
    verbs: Dict[str, Callable[[_Call], Json]] = {
        "open_site": _open_site,
        "plan": _make_plan,
        "phase": _phase,
        "settle": _settle,
        "status": looking.show_status,
        "trail": looking.show_trail,
        "explain": looking.question,
        "what_if": looking.question,
        "capture": _capture,
        "exec": executing.begin,
        "exec_over": executing.over,
        "adopt": _adopt, **dict.fromkeys(alarm_calls.VERBS, _alarms),
        "ways": lambda call: lease_ways.judge(call.site, call.request, call.check, call.ledger),
        "join": lambda call: {"changed": joining.join(call.site, str(call.request.get("here") or ""), call.check)},
    }
    verb = str(request.get("verb"))
    if verb not in verbs:
        return {"error": "the controller has no verb %r, only %s" % (verb, ", ".join(sorted(verbs)))}
    try:
        return verbs[verb](_call(request))
    except (controller_ledger.LedgerError, PlanError, saved_plans.Unsaved, Refused) as error:
        return {"error": str(error), **({"unknown": True} if getattr(error, "unknown", False) else {})}


class _Call(NamedTuple):
    """A request with its site at hand."""

    request: Mapping[str, Any]
    site: site_model.Site
    document: Mapping[str, Any]
    digests: Dict[str, str]
    config_digests: Dict[str, str]
    check: bool

    @property
    def state_dir(self) -> str:
        return self.site.state_dir

    @property
    def ledger(self) -> ledgers.Store:
        """For reading, and for facts. What a run decides goes through `deciding`."""
        return ledgers.open_ledger(self.site.state_dir)

    @property
    def deciding(self) -> ledgers.Store:
        """The same; for a monitor that no longer leads, nothing is committed."""
        return ledgers.open_ledger(self.site.state_dir, term=int(self.request.get("term") or 0))


def _call(request: Mapping[str, Any]) -> _Call:
    document = request.get("site")
    digests, config_digests = request.get("digests"), request.get("config_digests")
    if document is None or digests is None:
        folder = str(request.get("state_dir") or (document or {}).get("state_dir") or "")
        published = publish.read_published(folder, SITE_FILE) if folder else {}
        if document is None:
            if not published:
                raise Refused("%s has no site.json: deploy first" % (folder or "the state folder"))
            document = published["site"]
        digests = published.get("digests", {}) if digests is None else digests
        config_digests = config_digests or published.get("config_digests", {})
    try:
        site = site_model.site_from_json(document)
    except ValueError as error:
        raise Refused(str(error)) from error
    return _Call(request, site, document, dict(digests), dict(config_digests or {}), bool(request.get("check")))


def _open_site(call: _Call) -> Json:
    if call.request.get("create"):
        joining.join(call.site, str(call.request.get("here") or ""), call.check)
    with call.ledger as ledger:
        if call.site.controllers:
            shared.take(ledger, call.state_dir)
        made = False
        if not ledger.exists() and call.request.get("create"):
            if call.check:
                return {"site_id": "", "changed": True, "revision": 0, "mark": "",
                        "lease": leases.opened(call.site, "", call.request, True)}
            try:
                ledger.create(call.site.name, "%s-%s" % (call.site.name, os.urandom(6).hex()))
                made = True
            except controller_ledger.LedgerError:
                if not ledger.exists():  # else another run made it at the same moment
                    raise
        elif call.request.get("create"):
            ledger.check()
            if not call.check:
                ledger.forget_trail(time.time() - call.site.settings.trail_days * DAY)
        # Asked before the ledger is read: what is published is never ahead of it, but for a ledger put back.
        watch = publish.read_published(call.state_dir, WATCH_FILE)
        state, revision = ledger.read()
        _same_site(call, state)
        if call.request.get("create") and not call.request.get("accept"):
            shrink.check(call.site, state["wanted"])
        published = int(watch.get("revision", 0)) if watch.get("site_id") == state["meta"]["site_id"] else 0
        if published > revision and call.site.controllers and not call.request.get("create"):
            raise Refused(put_back.OLDER % (revision, published))
        if published > revision and not call.check:
            revision = put_back.put_back(ledger, call.site.controller, revision, published)
    mark = state["meta"].get("site_mark") or ""
    lease = leases.opened(call.site, state["meta"]["site_id"], call.request, call.check)
    if lease and call.site.controllers and call.request.get("create") and not call.check:
        shared.give_lease(call.ledger, call.state_dir)
    return {"site_id": state["meta"]["site_id"], "changed": made, "revision": revision, "mark": mark, "lease": lease}


def _make_plan(given: _Call) -> Json:
    call = given
    request = leases.with_fences(call.site, call.request["request"])
    request["who"] = request.get("who") or ledger_files.user_name(os.geteuid())
    request["from"] = request.get("from") or call.site.controller
    request.update(looking.for_request(call.state_dir, str(request.get("kind"))))
    bound = saved_plans.Bound.of(call.state_dir, request)
    request = bound.request(request) if bound else dict(request, facts="save" in call.request)
    request = previews.with_inventory(call, request)
    with call.deciding as ledger:
        for _unused in range(ATTEMPTS):
            state, revision = _read(given, ledger)
            request, gone = asked.dated(request, state.get(asked.KIND) or {})
            call = _over_what_is_deployed(given, state, str(request.get("kind")))
            configs = {h: d for h, d in call.config_digests.items() if given.config_digests.get(h) == d}  # can be sent
            observations = last_seen.current(call.site, ledger, state, revision, call.request, call.check)
            now = time.time()
            run = str(int(state["meta"].get("last_run", 0)) + 1)
            plan = make_plan(call.site, run_process.without_gone(state), revision, observations, request, now, run,
                             call.digests, configs, str(call.request.get("process") or ""))  # fmt: skip
            plan, looked = bound.checked(plan, now) if bound else plan, revision
            plan = asked.not_again(plan) if gone else plan
            if call.request.get("look") and not plan.idle:
                call = call._replace(check=True)
            changes = _with_meta(call, state, plan, run)
            if request.get("id") and not gone:
                changes[asked.KIND] = {request["id"]: None}  # with the plan: so it is carried out once
            if call.check or not (changes or plan.trail):
                break
            if (changes.get("meta") or {}).get("site_mark"):
                shared.give_site(ledger, publish.envelope(call.document, state, call.digests, call.config_digests))
            try:
                revision = ledger.commit(revision, changes, plan.trail)
            except controller_ledger.LostRace:
                continue
            state = apply_changes(state, changes)
            break
        else:
            raise Refused("others kept changing the ledger while this run planned (%d attempts): try again" % ATTEMPTS)
    warnings: List[str] = []
    if call is not given and call.request.get("observations") is not None:
        warnings.append(NOT_DEPLOYED)
    if not call.check and not (plan.refusals and plan.kind in SITE_CHANGES):
        warnings += publish.warnings(call.state_dir, _published(call), state, revision, durable=False)
        if call.request.get("observations") is not None:
            last_seen.keep(call.site, observations, looked, now)
    preview = previews.of(call, plan, (request, state, revision, observations, now))
    saved = saved_plans.saved(call.request, call.state_dir, plan, request, str(state["meta"]["site_id"]), now)
    requests = act_requests(call.site, state, plan, 1, call.digests, configs, observations, call.check)
    return {
        "plan": plan.to_json(),
        "requests": {host: order.to_json() for host, order in requests.items()},
        "phases": plan.phases,
        "revision": revision,
        "warnings": warnings,
        **preview,
        **saved,
    }


def _phase(call: _Call) -> Json:
    plan, phase = Plan.from_json(call.request["plan"]), int(call.request["phase"])
    if call.check:
        with call.ledger as ledger:
            state, revision = _read(call, ledger)
    else:
        call, state, revision, _unused = _commit_outcome(call, final=False)
    requests = act_requests(call.site, state, plan, phase, call.digests, check=call.check)
    return {"requests": {host: order.to_json() for host, order in requests.items()}, "revision": revision}


def _settle(call: _Call) -> Json:
    if call.check:
        return {"revision": None, "trail": [], "warnings": []}
    call, state, revision, trail = _commit_outcome(call, final=True)
    warnings = publish.warnings(call.state_dir, _published(call), state, revision, durable=True)
    last_words.keep_failed(call.state_dir, str(call.request["plan"].get("run")), call.request.get("answers") or {})
    last_seen.done(call.site, call.request.get("answers") or {})
    with call.ledger as ledger:
        try:
            ledger.forget_daily(time.time() - call.site.settings.trail_days * DAY)
            ledger.backup()
        except (controller_ledger.LedgerError, OSError) as error:
            warnings.append("the ledger was not copied to its backups: %s" % error)
    return {"revision": revision, "trail": trail, "warnings": warnings}


def _commit_outcome(given: _Call, final: bool) -> Tuple[_Call, controller_ledger.State, int, List[Json]]:
    """Commit what the hosts' answers say. Answers are facts: a lost race only means to read again."""
    call = given
    plan, answers = Plan.from_json(call.request["plan"]), call.request.get("answers") or {}
    with call.ledger if final else call.deciding as ledger:
        for _unused in range(ATTEMPTS):
            state, revision = ledger.read()
            with contextlib.suppress(Refused):  # the outcome is written in any case
                call = _over_what_is_deployed(given, state, str(plan.kind))
            changes, trail = settle(call.site, state, plan, answers, time.time(), final)
            if plan.phases > 1:
                trail = not_said(ledger.trail(limit=1000), plan, trail)
            if not (changes or trail):
                return call, state, revision, []
            try:
                revision = ledger.commit(revision, changes, trail)
            except controller_ledger.LostRace:
                continue
            return call, apply_changes(state, changes), revision, trail
    raise Refused(
        "others kept changing the ledger while this run wrote its outcome (%d attempts): reconcile finishes it"
        % ATTEMPTS
    )


def _capture(call: _Call) -> Json:
    from ..report import scenario

    with call.ledger as ledger:
        state, revision = ledger.read()
        seen = last_seen.last_seen(call.site, ledger, state)
    request = dict(call.request["request"], **{"from": call.site.controller})
    taken = (state, revision, seen, request, time.time(), call.digests, call.config_digests)
    return {"given": scenario.captured(call.site, *taken)}


def _adopt(call: _Call) -> Json:
    from . import adopt

    return adopt.adopt(call.site, call.request, call.check)


def _alarms(call: _Call) -> Json:
    return alarm_calls.answer(call.request, call.site, lambda: looking.show_status(call)["status"], lambda: call.ledger)


def _read(call: _Call, ledger: ledgers.Store) -> Tuple[controller_ledger.State, int]:
    """The ledger's state; check mode before the first deploy plans over an empty one."""
    if call.check and not ledger.exists():
        meta = {"site_id": "", "site": call.site.name, "schema": controller_ledger.SCHEMA, "last_run": 0}
        return {"meta": meta, "wanted": {}, "claims": {}, "hosts": {}}, 0
    watch = publish.read_published(call.state_dir, WATCH_FILE) if call.site.controllers else {}
    state, revision = ledger.read()
    _same_site(call, state)
    if watch.get("site_id") == state["meta"]["site_id"] and int(watch.get("revision") or 0) > revision:
        raise Refused(put_back.OLDER % (revision, watch["revision"]))
    return state, revision


def _same_site(call: _Call, state: controller_ledger.State) -> None:
    if state["meta"]["site"] != call.site.name:
        raise Refused(
            "the ledger in %s belongs to the site %s and this inventory describes %s: "
            "give each site a muster_state_dir of its own" % (call.state_dir, state["meta"]["site"], call.site.name)
        )


def _over_what_is_deployed(call: _Call, state: controller_ledger.State, kind: str) -> _Call:
    """The call with the site that was deployed last, which its own may not be: its inventory was edited since, is
    another copy, or was read before another run deployed.

    :raises Refused: when that site is not known.
    """
    mark = state["meta"].get("site_mark")
    if not mark or kind == "deploy" or mark == publish.site_mark(call.document, call.digests):
        return call
    if kind in SITE_CHANGES and call.request.get("observed_mark") in (None, mark):
        return call
    published = publish.read_published(call.state_dir, SITE_FILE)
    if published.get("mark") != mark and call.site.controllers:
        published = shared.site_of(ledgers.open_ledger(call.state_dir), mark, call.state_dir)
    if kind in SITE_CHANGES or published.get("mark") != mark:
        raise Refused("the site was deployed again meanwhile: run this again")
    try:
        site = site_model.site_from_json(published["site"])
    except (KeyError, TypeError, ValueError) as error:
        raise Refused("the site that was deployed last cannot be read (%s): deploy again" % error) from error
    return call._replace(
        site=dataclasses.replace(site, state_dir=call.state_dir),
        document=published["site"],
        digests=dict(published["digests"]),
        config_digests=dict(published["config_digests"]),
    )


def _with_meta(call: _Call, state: controller_ledger.State, plan: Plan, run: str) -> Json:
    """The plan's changes, with the run's number; and with the mark of its site when that is the valid one from now."""
    changes: Json = {kind: dict(records) for kind, records in plan.changes.items() if records}
    meta: Json = changes.pop("meta", {})
    before = state["meta"].get("site_mark")
    if (not before or plan.kind in SITE_CHANGES) and not plan.refusals:
        mark = publish.site_mark(call.document, call.digests)
        if mark != before:
            meta["site_mark"] = mark
    acts = any(action.kind in (CONFIGURE, REVIVE) for action in plan.actions)
    if changes or meta or plan.trail or acts:
        changes["meta"] = dict(meta, last_run=int(run))
    return changes


def _published(call: _Call) -> Tuple[Mapping[str, Any], Mapping[str, str], Mapping[str, str]]:
    return call.document, call.digests, call.config_digests
