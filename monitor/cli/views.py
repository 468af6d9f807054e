# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that change nothing: status, plan, why, events, check."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core.client.commands import FAILED, OK, USAGE, act, follow, named, print_why
from ..core.client.options import approves_nothing
from ..core.controller import last_words, ledgers
from ..core.report import plan_text, preview, rollouts, story
from .by_api import show_status
from .by_playbook import Event, play
from .places import Places, UsageError
from .verbs import NOBODY, Progress, as_json, ended, run, saving

Json = dict[str, Any]
SHOWN_WORDS = 3  # failures whose last words are named


def status(options: argparse.Namespace, places: Places) -> int:
    """Print what runs where, over fresh observations; with `--last` as the last run saw it."""
    if options.watch:
        return _watch(options, places)
    if options.last:
        document: Json | None = last_status(places)
        code = OK
    else:
        code, document = _fresh(options, places, "status", "status")
    if document is not None:
        code = show_status(document, options) or code
    return code


def rollout(options: argparse.Namespace, places: Places) -> int:
    """Print how far the rollout is."""
    remote = places.remote
    document = last_status(places) if remote is None else remote.get("/status", options.timeout)
    if options.json:
        as_json(document.get("rollout"))
        return OK
    for line in rollouts.lines(document.get("rollout"), all_of_it=True):
        print(line)
    return OK


def plan(options: argparse.Namespace, places: Places) -> int:
    """Print what reconcile would do now, and why; nothing is done.

    :raises UsageError: for a second name without a saved plan.
    """
    lacking = approves_nothing(options)
    if lacking:
        raise UsageError(lacking)
    if options.file:
        from . import capture

        return capture.plan(options.file, options.json)
    if options.save:
        return _save(options, places)
    if options.deploy:
        return _deploy(options, places)
    code, document = OK, None
    if places.remote is not None:
        document = places.question({"verb": "plan", "check": True})["plan"]
    else:
        code, document = _fresh(options, places, "reconcile", "plan", check=True)
    if document is None:
        return code
    if options.json:
        as_json(document)
        return code
    for line in [preview.DEPLOYED, *plan_text.plan_lines(document, time.time())]:
        print(line)
    return code


def _deploy(options: argparse.Namespace, places: Places) -> int:
    """Print what a deploy of the inventory as it is now would do."""
    if not options.json:
        return run(options, places, "deploy", {}, check=True)
    code, document = _fresh(options, places, "deploy", "plan", check=True, beside=("preview",))
    if document is not None:
        as_json(document)
    return code


def _save(options: argparse.Namespace, places: Places) -> int:
    """Print what reconcile would do, and save it, so that `muster apply` does exactly that."""
    if options.deploy:
        return run(options, places, "deploy", saving(options))
    if places.remote is not None:
        return act({"kind": "reconcile"}, places.remote, options.timeout, True, options.save, options.approve)
    return run(options, places, "reconcile", saving(options))


def check(options: argparse.Namespace, places: Places) -> int:
    """Validate the site; with `--hosts` also whether each host can be deployed to. Nothing is changed."""
    found: Json = {}
    failed: list[Event] = []
    fine: list[str] = []
    end = Event("end")
    verb = "preflight" if options.hosts else "check"
    for event in play(verb, places.need_inventory(), places.here(), timeout=options.timeout):
        if event.action == "preflight" and event.kind == "ok":
            fine += [event.name] if event.name in found.get("hosts", [event.name]) else []
        if event.kind in ("failed", "unreachable"):
            failed.append(event)
        elif event.action == "site" and event.kind == "ok":
            found = event.result
        elif event.kind == "end":
            end = event
    code = ended(end, failed)
    if code == OK and not found:
        print(NOBODY, file=sys.stderr)
        return USAGE
    if code == OK:
        if options.hosts:
            print("%d hosts can be deployed to: %s" % (len(fine), ", ".join(sorted(fine))))
        print(
            "the site %s is valid: %s items, %s instances, %d hosts, controller %s"
            % (found.get("site"), found.get("items"), found.get("instances"), len(found.get("hosts", [])),
               found.get("controller"))
        )  # fmt: skip
        if found.get("exclusion"):
            print(found["exclusion"])
    return code


def why(options: argparse.Namespace, places: Places) -> int:
    """Print one instance, or each of an item: its state, the wanted state, the next actions, and its history."""
    document = last_status(places)
    for number, name in enumerate(named(options.instance, document)):
        if number and not options.json:
            print()
        _why(name, document, options, places)
    return OK


def _why(name: str, document: Json, options: argparse.Namespace, places: Places) -> None:
    instance = document["instances"][name]
    # Without observations the controller uses the last ones, corrected by what was committed since.
    planned: Json
    try:
        planned = places.question({"verb": "plan", "check": True, "request": {"kind": "reconcile"}})
    except UsageError as error:
        planned = {"error": str(error)}
    trail = places.question({"verb": "trail", "instance": name, "limit": options.number})["trail"]
    if options.json:
        as_json({"instance": dict(instance, name=name), "plan": planned.get("plan"), "trail": trail})
        return
    document = dict(document, last_words=_last_words(name, places))
    print_why(name, instance, document, planned.get("plan"), planned.get("error") or "", trail)


def _last_words(name: str, places: Places) -> list[Json]:
    """What is kept of the newest failures of an instance, without lines."""
    if places.remote is not None:
        from ..core.client.api import Refused

        try:
            found: list[Json] = places.remote.get("/last-words", instance=name, limit=SHOWN_WORDS)["last_words"]
        except Refused:
            return []  # who only looks gets none
        return found
    return last_words.listed(str(places.need_state()), name, SHOWN_WORDS)


def events(options: argparse.Namespace, places: Places) -> int:
    """Print the trail: what happened, who or what did it, and why."""
    if options.verify:
        return _verify(places)
    if not options.follow:
        from ..core.client import happened

        if happened.filtered(options):
            from . import alarms

            remote = places.remote
            return alarms.events(options, places) if remote is None else happened.events(options, remote)

    def show(entry: Mapping[str, Any]) -> None:
        if not options.instance or entry.get("instance") == options.instance:
            print(_json_line(entry) if options.json else story.line(entry, time.time(), instance=True), flush=True)

    request: Json = {"verb": "trail", "limit": options.number, "instance": options.instance}
    after = 0
    if options.follow:  # from the end of the whole trail, also when only a part of it is shown
        end = places.question({"verb": "trail", "limit": 1})["trail"]
        after = int(end[-1]["id"]) if end else 0
    for entry in places.question(request)["trail"]:
        if not options.follow or int(entry["id"]) <= after:
            show(entry)
    if not options.follow:
        return OK
    if places.remote is not None:
        follow(places.remote, after, show)
    while True:
        for entry in places.question({"verb": "trail", "limit": 1000, "after": after})["trail"]:
            after = int(entry["id"])
            show(entry)
        _wait_for_change(places.need_state(), 0.5, 10.0)


def _verify(places: Places) -> int:
    """Follow the chain of the trail in the ledger itself, so this is for the controller."""
    state = places.need_state()
    with ledgers.open_ledger(str(state)) as ledger:
        found = ledger.verify_trail()
    if found.unchained:
        print("%d entries were written by a version that made no chain" % found.unchained)
    if found.broken:
        print("the trail was changed: %s" % found.broken)
        return FAILED
    if not found.head:
        print("the trail has no chain yet")
        return OK
    print("%d entries from %d to %d are one chain" % (found.entries - found.unchained, found.first, found.last))
    print("the last one: entry %d, chain %s" % (found.last, found.head))
    print("the system's log has the same, if nobody replaced the whole trail: journalctl | grep 'entry %d, chain'"
          % found.last)  # fmt: skip
    return OK


def _fresh(
    options: argparse.Namespace, places: Places, verb: str, key: str, check: bool = False, beside: tuple[str, ...] = ()
) -> tuple[int, Json | None]:
    """Run a playbook that returns a document under `key`.

    :param beside: further keys of the same result, which are put into the document.
    :return: exit code and document.
    """
    progress = Progress(sys.stderr, on=not getattr(options, "watch", False))
    failed: list[Event] = []
    document: Json | None = None
    for event in play(verb, places.need_inventory(), places.here(), timeout=options.timeout, check=check):
        if event.kind == "task":
            progress.show(event.name[:1].lower() + event.name[1:])
        elif event.kind in ("failed", "unreachable"):
            failed.append(event)
        elif event.kind == "end":
            progress.clear()
            code = ended(event, failed)
            return code, document if code == OK else None
        if event.result.get(key):
            document = dict(event.result[key], **{name: event.result.get(name) for name in beside})
    return FAILED, None


def _watch(options: argparse.Namespace, places: Places) -> int:
    """Redraw on every change; the hosts are observed again every `--every` seconds."""
    folder = places.state_dir
    document: Json | None = None
    looked = 0.0
    while True:
        if document is None or time.monotonic() - looked >= options.every:
            code, fresh = _fresh(options, places, "status", "status")
            looked = time.monotonic()
            if fresh is None:
                return code
            document = fresh
        elif folder is not None:
            document = last_status(places)
        show_status(document, options)
        left = options.every - (time.monotonic() - looked)
        if folder is not None:
            _wait_for_change(folder, 0.5, left)
        else:
            time.sleep(max(0.0, left))


def _wait_for_change(folder: Path, step: float, longest: float) -> None:
    files = (folder / "watch.json", folder / "run" / "monitor.json")
    before = [_modified(path) for path in files]
    end = time.monotonic() + longest
    while time.monotonic() < end:
        time.sleep(step)
        if [_modified(path) for path in files] != before:
            return


def _modified(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def last_status(places: Places) -> Json:
    document: Json = places.question({"verb": "status"})["status"]
    return document


def _json_line(document: Any) -> str:
    import json

    return json.dumps(document, separators=(",", ":"))
