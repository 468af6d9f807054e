# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The short form of scenarios: what differs from a small site at rest, made into the full form that muster reads.

`given` holds, all optional but the request: `base` (a name in tests/scenarios/bases.yml, with which the rest is
merged; null takes a record away), `items` (how many), `terms` (of items, by id), `settings`, `rollout`, `applications`,
`programs`, `hosts` (fields that differ from the small site), `ledger` (wanted, claims, hosts, pauses, notices,
rollouts, moves, meta), `seen` (per host what differs from a quiet one: a number stands for an instance of that epoch,
a sentence for a host that does not answer, null for a host that was not asked), `digests`, `configs`, `request`, and
`answers` (per host, per instance) when the outcome is of interest too.

A scenario with `site` is in the full form already: `muster capture` wrote it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from monitor.core.model.item import item_from_json
from monitor.core.model.rollout import RolloutSettings
from monitor.core.model.sequence import expected_programs
from monitor.core.model.site import Site, site_to_json
from tests.small_site import CONSOLES, SERVERS, quiet_host, running, small_site, small_state

FOLDER = Path(__file__).parent / "scenarios"
NOW = 1_700_000_000.0  # 22:13:20 UTC
ALIVE = {"pid": 1}
MARK = "\nthen:"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
Json = dict[str, Any]


def load(path: Path) -> Json:
    document: Json = yaml.load(path.read_text(), Loader=_LOADER)
    return document


BASES = load(FOLDER / "bases.yml")


def files(*topics: str) -> list[Path]:
    """The scenarios of these topics, each a folder; without any, all."""
    return sorted(path for path in FOLDER.glob("*/*.yml") if not topics or path.parent.name in topics)


def name_of(path: Path) -> str:
    return "%s/%s" % (path.parent.name, path.stem)


def compare(path: Path, lines: list[str], update: bool) -> None:
    """Compare with the `then` of a file, or write it.

    :raises AssertionError: when the lines differ.
    """
    if update:
        head = path.read_text().partition(MARK)[0].rstrip("\n")
        path.write_text("%s%s |\n%s" % (head, MARK, "".join("  %s\n" % line for line in lines)))
    else:
        assert lines == str(load(path)["then"]).splitlines()


def full(given: Mapping[str, Any]) -> Json:
    """The full form of what a scenario gives."""
    if "site" in given:
        return dict(given)
    given = based(given)
    site = build_site(given)
    return {
        "site": site_to_json(site),
        "ledger": build_state(given),
        "revision": 7,
        "seen": build_observations(given, site),
        "request": {"who": "eve", "from": "controller", "why": "", **given.get("request", {})},
        "now": NOW,
        "run": "42",
        "digests": dict.fromkeys(site.by_name(), "d") | given.get("digests", {}),
        "configs": given.get("configs"),
        **({"answers": given["answers"]} if "answers" in given else {}),
    }


def based(given: Mapping[str, Any]) -> Json:
    """With its base merged in."""
    if "base" not in given:
        return dict(given)
    own = {key: value for key, value in given.items() if key != "base"}
    found: Json = merge(BASES[given["base"]], own)
    return found


def merge(base: Any, own: Any, *path: str) -> Any:
    """`own` over `base`. A null takes away what the base has; a host in `seen` is then one that was not asked."""
    if not isinstance(base, dict) or not isinstance(own, dict):
        return own
    merged = dict(base)
    for key, value in own.items():
        if value is None and key in base and path != ("seen",):
            del merged[key]
        else:
            merged[key] = merge(base[key], value, *path, key) if key in base else value
    return merged


def build_site(given: Mapping[str, Any]) -> Site:
    site = small_site(items=given.get("items", 3), **given.get("settings", {}))
    applications = []
    for application in site.applications:
        changed = given.get("programs", {}).get(application.name, {})
        programs = tuple(dataclasses.replace(p, **changed.get(p.name, {})) for p in application.programs)
        fields = {k: tuple(v) if isinstance(v, list) else v
                  for k, v in given.get("applications", {}).get(application.name, {}).items()}  # fmt: skip
        if "probe" in fields:
            bus = application.bus
            assert bus is not None
            fields["bus"] = dataclasses.replace(bus, probe=dataclasses.replace(bus.probe, **fields.pop("probe")))
        applications.append(dataclasses.replace(application, programs=programs, **fields))
    hosts = tuple(dataclasses.replace(h, **given.get("hosts", {}).get(h.name, {})) for h in site.hosts)
    terms = given.get("terms", {})
    items = tuple(item_from_json({"id": item.id, "slot": item.slot, "terms": terms.get(item.id)})
                  for item in site.items)  # fmt: skip
    rollout = RolloutSettings(**given.get("rollout", {}))
    return dataclasses.replace(site, applications=tuple(applications), hosts=hosts, items=items, rollout=rollout)


def build_state(given: Mapping[str, Any]) -> Json:
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
    other = {kind: ledger[kind] for kind in ("meta", "notices", "moves", "rollouts") if kind in ledger}
    return small_state(wanted=wanted, claims=claims, hosts=hosts, pauses=pauses, **other)


def build_observations(given: Mapping[str, Any], site: Site) -> Json:
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


def _copy(site: Site, name: str, copy: Any) -> Json:
    fields = {"epoch": copy} if isinstance(copy, int) else dict(copy)
    epoch = fields.get("epoch")
    application = site.application(name.rpartition("_")[0])
    without = fields.pop("without", [])
    programs = dict.fromkeys(expected_programs(application, without=without), ALIVE)
    return {"epochs": [epoch] if epoch is not None else [], "claim": epoch, "digest": "d", "last_epoch": epoch or 0,
            "programs": programs, "deferred": [], "failed": {}, "cpu": 1.0, **fields}  # fmt: skip
