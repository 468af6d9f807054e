# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Golden scenarios: a state goes in, actions with their reasons come out.

Each file in tests/scenarios holds `given` and `then`. Given are, all optional but the request: `items` (how many),
`settings`, `applications`, `programs`, `hosts` (fields that differ from the small site), `ledger` (wanted, claims,
hosts, pauses, notices), `seen` (per host what differs from a quiet one; an instance is short for its epoch, a
sentence for a host that does not answer, null for one that was not asked), `digests`, `request`, and `answers` (per
host, per instance) when the outcome is of interest too. `pytest --update-scenarios` writes `then`.
"""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitor.core.decide.draft import PlanError
from monitor.core.model.records import apply_changes
from monitor.core.model.sequence import expected_programs
from monitor.core.model.site import Site
from monitor.core.plan import plan as planner
from monitor.core.plan.outcome import settle
from tests.small_site import CONSOLES, SERVERS, quiet_host, running, small_site, small_state

FOLDER = Path(__file__).parents[2] / "scenarios"
NOW = 1_700_000_000.0  # 22:13:20 UTC
ALIVE = {"pid": 1}
MARK = "\nthen:"


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def build_site(given: dict[str, Any]) -> Site:
    site = small_site(items=given.get("items", 3), **given.get("settings", {}))
    applications = []
    for application in site.applications:
        changed = given.get("programs", {}).get(application.name, {})
        programs = tuple(dataclasses.replace(p, **changed.get(p.name, {})) for p in application.programs)
        fields = {k: tuple(v) if isinstance(v, list) else v
                  for k, v in given.get("applications", {}).get(application.name, {}).items()}  # fmt: skip
        applications.append(dataclasses.replace(application, programs=programs, **fields))
    hosts = tuple(dataclasses.replace(h, **given.get("hosts", {}).get(h.name, {})) for h in site.hosts)
    return dataclasses.replace(site, applications=tuple(applications), hosts=hosts)


def build_state(given: dict[str, Any]) -> dict[str, Any]:
    ledger = given.get("ledger", {})
    claims = {}
    for name, claim in ledger.get("claims", {}).items():
        claim = dict(claim)
        if "since" not in claim:
            claim["since"] = NOW - 3600
        claims[name] = running(claim.pop("host"), claim.pop("epoch"), **claim)
    wanted = {name: {"host": None, "by": "muster", "why": "first seen", "at": NOW - 3600, **record}
              for name, record in ledger.get("wanted", {}).items()}  # fmt: skip
    known = {"state": "up", "incarnation": "boot/1", "since": 0.0, "evidence": "", "by": "monitor"}
    said = ledger.get("hosts", {})
    hosts = {name: {**known, **said.get(name, {})} for name in (*SERVERS, *CONSOLES, *said)}
    paused = {"by": "eve", "why": "", "at": NOW - 60, "until": None}
    pauses = {key: {**paused, **record} for key, record in ledger.get("pauses", {}).items()}
    return small_state(wanted=wanted, claims=claims, hosts=hosts, pauses=pauses, notices=ledger.get("notices", {}))


def build_observations(given: dict[str, Any], site: Site) -> dict[str, Any]:
    seen = {}
    for host in site.hosts:
        more = given.get("seen", {}).get(host.name, {})
        if more is None:
            continue
        if isinstance(more, str):
            seen[host.name] = {"host": host.name, "answer": "unreachable", "why": more}
            continue
        more = dict(more)
        instances = {n: _copy(site, n, copy) for n, copy in more.pop("instances", {}).items()}
        seen[host.name] = quiet_host(host.name, instances=instances, **more)
    return seen


def _copy(site: Site, name: str, copy: Any) -> dict[str, Any]:
    fields = {"epoch": copy} if isinstance(copy, int) else dict(copy)
    epoch = fields.get("epoch")
    application = site.application(name.rpartition("_")[0])
    without = fields.pop("without", [])
    programs = dict.fromkeys(expected_programs(application, without=without), ALIVE)
    return {"epochs": [epoch] if epoch is not None else [], "claim": epoch, "digest": "d", "last_epoch": epoch or 0,
            "programs": programs, "deferred": [], "failed": {}, "cpu": 1.0, **fields}  # fmt: skip


def told(given: dict[str, Any]) -> dict[str, Any]:
    """What the decision core says, in lines that people can compare."""
    site, state = build_site(given), build_state(given)
    observations = build_observations(given, site)
    request = {"who": "eve", "from": "controller", "why": "", **given["request"]}
    digests = dict.fromkeys(site.by_name(), "d") | given.get("digests", {})
    try:
        plan = planner.make_plan(site, state, 7, observations, request, NOW, "42", digests, given.get("configs"))
    except PlanError as error:
        return {"error": str(error)}
    result: dict[str, Any] = {
        "actions": [_action_line(action) for action in plan["actions"]],
        "changes": _change_lines(plan["changes"]),
    }
    if plan["intents"]:
        result["intents"] = [f"{i['instance']} {i['outcome']}: {i['why']}" for i in plan["intents"]]
    if "answers" in given:
        after = apply_changes(state, plan["changes"])
        answers = {
            host: {"unreachable": results} if isinstance(results, str) else {"results": results}
            for host, results in given["answers"].items()
        }
        changes, trail = settle(site, after, plan, answers, NOW + 1, final=True)
        result["outcome"] = _change_lines(changes)
        result["trail"] = [f"{entry['what']} [{entry['result']}] {entry['why']}" for entry in trail]
    return result


def _action_line(action: dict[str, Any]) -> str:
    words = [str(action["phase"]), action["action"]]
    if action["instance"]:
        words.append(action["instance"])
    if action["host"]:
        words.append("on " + action["host"])
    if action["target"]:
        words.append("for " + action["target"])
    if action["action"] not in ("hold", "refuse", "configure", "revive"):
        words.append(f"epoch {action['epoch']}")
    if action["urgent"]:
        words.append("urgent")
    if action["programs"]:
        words.append("programs " + ",".join(action["programs"]))
    return " ".join(words) + ": " + action["reason"]


def _change_lines(changes: dict[str, Any]) -> list[str]:
    lines = []
    for name, record in changes.get("wanted", {}).items():
        lines.append(f"wanted {name}: " + (
            f"{record['state']}{' on ' + record['host'] if record['host'] else ''} by {record['by']} ({record['why']})"
            if record else "forgotten"))  # fmt: skip
    for name, record in changes.get("claims", {}).items():
        if record is None:
            lines.append(f"claim {name}: forgotten")
            continue
        extra = "".join(f", {key} {record[key]}" for key in ("target", "deferred", "failed", "left") if record[key])
        extra += f", {len(record['failures'])} failures" if record["failures"] else ""
        extra += f", run {record['actor']['run']}" if record["actor"] else ""
        extra += f" ({record['reason']})" if record["reason"] else ""
        lines.append(f"claim {name}: {record['phase']} on {record['host']} epoch {record['epoch']}{extra}")
    for name, record in changes.get("hosts", {}).items():
        if record is None:
            lines.append(f"host {name}: forgotten")
            continue
        drain = record.get("drain")
        until = f" until NOW{drain['until'] - NOW:+g}" if drain and drain["until"] else ""
        extra = f", drain by {drain['by']}{until}, {drain['at_a_time'] or 'all'} at a time" if drain else ""
        lines.append(f"host {name}: {record['state']} by {record['by']} ({record['evidence']}){extra}")
    for name, record in changes.get("pauses", {}).items():
        until = f" until NOW{record['until'] - NOW:+g}" if record and record["until"] else ""
        lines.append(f"pause {name}: " + (f"by {record['by']} ({record['why']}){until}" if record else "over"))
    for name, record in changes.get("notices", {}).items():
        if record is None:
            lines.append(f"notice {name}: forgotten")
            continue
        keys = ("hosts", "policy", "open", "count", "acknowledged")
        extra = "".join(f", {key} {record[key]}" for key in keys if record.get(key) is not None)
        lines.append(f"notice {name}: {record['why']}{extra}")
    return lines


class _Dumper(yaml.SafeDumper):
    """Lists indented below their key."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yml")), ids=lambda path: path.stem)
def test_scenario(path: Path, request: pytest.FixtureRequest) -> None:
    text = path.read_text()
    document = yaml.safe_load(text)
    answer = told(document["given"])
    if request.config.getoption("--update-scenarios"):
        head = text.partition(MARK)[0].rstrip("\n")
        then = yaml.dump({"then": answer}, Dumper=_Dumper, sort_keys=False, width=90, allow_unicode=True)
        path.write_text(head + "\n" + then)
        return
    assert answer == document["then"]


def test_there_are_scenarios() -> None:
    assert len(os.listdir(FOLDER)) > 40
