# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pure parts of the API: admission, requests, schemas and metrics."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from openapi_spec_validator import validate

from monitor.core.compile import compiler
from monitor.core.compile.errors import SiteErrors
from monitor.core.model import site as site_model
from monitor.core.model.request import KINDS
from monitor.core.requests import check, read
from monitor.core.requests.names import names_of
from monitor.web import page
from monitor.web.app import Api
from monitor.web.doors import doors, guard
from monitor.web.doors.caller import ACT, ADMINISTER, LOOK, Caller, Connection, Door, caller, places_of
from monitor.web.history import History
from monitor.web.schema import actions, openapi, parameters, routes
from tests.small_site import small_site
from tests.unit.embedded_site import raw_site

SITE = small_site()
NAMES = names_of(SITE, {"scen2_srv_99": "server_9"})
AT_CONSOLE = Caller("eve", "console_1", "console_1", "", (LOOK, ACT))
AT_CONTROLLER = Caller("eve", "controller", "", "", (LOOK, ACT))


def posted(body: Any, who: Caller = AT_CONSOLE) -> dict[str, Any]:
    """The request of a body, as JSON."""
    return actions.request_of(body, NAMES, who).to_json()


def wrong(body: Any, who: Caller = AT_CONSOLE) -> list[str]:
    """The errors of a body."""
    with pytest.raises(read.RequestErrors) as found:
        posted(body, who)
    return [check.sentence([error]) for error in found.value.errors]


def test_a_parameter_without_the_one_that_it_goes_with_is_wrong_and_no_act() -> None:
    for given in ((False, False, False), (True, False, False), (True, True, False), (True, True, True)):
        assert actions.lacking(*given) == []
    for given, fields in (
        ((False, True, False), ["save"]),
        ((True, False, True), ["approve"]),
        ((False, False, True), ["approve"]),
        ((False, True, True), ["save"]),
    ):
        assert [error["field"] for error in actions.lacking(*given)] == fields


def test_the_openapi_document_is_valid_and_has_every_route() -> None:
    document = openapi.document()
    validate(document)
    listed = {(path, method.upper()) for path, entry in document["paths"].items() for method in entry}
    assert listed == {(route.full_path, route.method) for route in routes.ROUTES}
    assert all(callable(getattr(Api, route.name)) for route in routes.ROUTES)


def test_a_note_may_be_about_an_item_a_host_or_the_site() -> None:
    for subject in ({"item": "02"}, {"host": "server_2"}, {}):
        request = posted({"kind": "note", "why": "watch the fan", **subject})
        assert {name: request[name] for name in subject} == subject
    assert "no item 77" in wrong({"kind": "note", "item": "77", "why": "x"})[0]


def test_a_request_carries_caller_and_host_from_the_connection_only() -> None:
    request = posted({"kind": "stop", "instances": ["scen2_srv_01"], "why": "a test"})
    wanted = {"kind": "stop", "instances": ["scen2_srv_01"], "why": "a test", "who": "eve", "from": "console_1"}
    assert request == wanted
    for field in ("who", "from"):
        [problem] = wrong({"kind": "stop", "instances": ["scen2_srv_01"], field: "mallory"})
        assert problem.startswith("%s: is not known here" % field)


def test_patterns_applications_and_items_are_put_in_full() -> None:
    servers = posted({"kind": "start", "instances": ["scen2_srv_*"]})["instances"]
    assert servers == ["scen2_srv_01", "scen2_srv_02", "scen2_srv_03", "scen2_srv_99"]
    windows = posted({"kind": "stop", "instances": ["scen2_hci"]})["instances"]
    assert windows == ["scen2_hci_01", "scen2_hci_02", "scen2_hci_03"]
    for body in ({"kind": "open", "item": "02"}, {"kind": "open", "instances": ["02"]}):
        request = posted(body)
        assert (request["instances"], request["console"]) == (["scen2_hci_02"], "console_1")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ([], "the body must be a JSON object"),
        ({}, "kind: is missing"),
        ({"kind": "strat"}, "kind: \"strat\" is not known (allowed: reconcile, start, "),
        ({"kind": 3}, "kind: 3 is not known"),
        ({"kind": "start"}, "instances: is missing"),
        ({"kind": "start", "instances": []}, "instances: must name at least one"),
        ({"kind": "start", "instances": "scen2_srv_01"}, "instances: must be a list"),
        ({"kind": "start", "instances": [1]}, "instances[0]: must be a text"),
        ({"kind": "start", "instances": ["a\nb"]}, "instances[0]: holds characters that cannot be shown"),
        ({"kind": "start", "instances": ["scen2_srv_1"]}, "did you mean scen2_srv_01?"),
        ({"kind": "start", "instances": ["x*"]}, "no instance of the site fits the pattern x*"),
        ({"kind": "start", "instanes": ["scen2_srv_01"]}, "instanes: is not known here; did you mean instances?"),
        ({"kind": "open", "item": "2"}, "there is no item 2 in this site"),
        ({"kind": "open", "item": "02", "instances": ["scen2_hci_02"]}, "not both"),
        ({"kind": "open", "item": "02", "console": "consol_1"}, "console: there is no host consol_1 in this site; did"),
        ({"kind": "open", "item": "02", "host": "consol_1"}, "did you mean console_1?"),
        ({"kind": "open", "item": "02", "host": "console_1", "console": "console_1"}, "host: is the former name of"),
        ({"kind": "resolve", "instances": ["scen2_srv_01"]}, "keep: is missing"),
        ({"kind": "open", "item": "02", "take": True}, "why: take needs a reason"),
        ({"kind": "open", "item": "02", "take": "yes"}, "take: must be true or false"),
        ({"kind": "confirm_down", "host": "server_1", "why": " "}, "why: confirm_down needs a reason"),
        ({"kind": "drain", "host": "server_1", "at_a_time": 0}, "at_a_time: must be at least 1"),
        ({"kind": "drain", "host": "server_1", "until": [1]}, "until: must be a number or a text"),
        ({"kind": "pause"}, "item: pause needs item or site"),
        ({"kind": "pause", "site": 1}, "site: must be true or false"),
        ({"kind": "acknowledge", "all": False}, "all: must be true"),
    ],
)
def test_errors_of_a_request_are_named(body: Any, says: str) -> None:
    problems = wrong(body)
    assert any(says in problem for problem in problems), problems


def test_every_error_of_a_request_is_reported_at_once() -> None:
    assert wrong({"kind": "drain", "hots": "server_1", "at_a_time": 0, "until": [1]}) == [
        "hots: is not known here; did you mean host? (allowed: host, at, force, why)",
        "at_a_time: must be at least 1",
        "until: must be a number or a text",
        "host: is missing",
    ]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"kind": "drain", "hots": "server_1", "until": "25:00"}, ["hots", "host", "until"]),
        ({"kind": "drain", "host": "srv_1", "until": "25:00", "at_a_time": 0}, ["at_a_time", "until", "host"]),
        ({"kind": "start", "instances": [1, "scen2_srv_1"], "hots": 3}, ["hots", "instances[0]", "instances[1]"]),
        ({"kind": "start", "instances": [1], "env": ["A", 2], "arg": ["x"], "host": "no"},
         ["env[1]", "instances[0]", "env[0]", "host"]),
        ({"kind": "start", "instances": 7, "arg": ["x"], "host": "no"}, ["instances", "host"]),
        ({"kind": "pause", "item": "77", "site": True, "until": "25:00"}, ["item", "until"]),
        ({"kind": "confirm_down", "host": "no", "why": "", "foo": 1}, ["foo", "host", "why"]),
        ({"kind": "confirm_down", "host": "no", "why": 3}, ["why", "host"]),
        ({"kind": "move", "instances": ["scen2_srv_01"], "to": "no", "at": "x" * 50}, ["at", "to"]),
    ],
)  # fmt: skip
def test_what_can_be_looked_at_is_looked_at_although_other_fields_are_wrong(body: Any, fields: list[str]) -> None:
    with pytest.raises(read.RequestErrors) as found:
        posted(body)
    assert sorted(error["field"] for error in found.value.errors) == sorted(fields)


def test_errors_of_the_address_and_of_the_body_come_together() -> None:
    with pytest.raises(read.RequestErrors) as found:
        actions.request_of({"kind": "drain"}, NAMES, AT_CONSOLE, actions.lacking(False, True, False))
    assert [error["field"] for error in found.value.errors] == ["save", "host"]


def test_a_pause_outlives_its_item_and_what_nobody_paused_is_an_unknown_name() -> None:
    paused = names_of(SITE, {}, ["site", "item/77"])
    for names, item, unknown in ((paused, "77", 0), (paused, "nosuch", 1), (paused, "02", 0), (NAMES, "nosuch", 0)):
        kind = KINDS["resume"]
        problems = read.unnamed(kind, {"kind": "resume", "item": item}, names)
        assert [problem["unknown"] for problem in problems] == [True] * unknown
    assert [p["field"] for p in read.unnamed(KINDS["pause"], {"kind": "pause", "item": "77"}, paused)] == ["item"]


@pytest.mark.parametrize(
    ("name", "query", "fields"),
    [
        ("act", "dry_run=01", ["dry_run"]),
        ("act", "dry_run=%D9%A1", ["dry_run"]),
        ("act", "dry_run=1&dry_run=0", ["dry_run"]),
        ("act", "dry_run=1&wait=00", ["wait"]),
        ("act", "dry_run=1&wait=0", []),
        ("past", "sinc=2h&until=25:00&limit=0", ["sinc", "limit", "until"]),
        ("past", "since=x&until=y", ["since", "until"]),
        ("past", "since=1h&until=2h&foo=1", ["foo", "since"]),
        ("past", "since=2h&until=1h", []),
        ("logs", "since=1h&until=2h", ["since"]),
        ("events", "after=-1&limit=1e3", ["after", "limit"]),
        ("events", "after=999999999999999", []),
        ("events", "after=9999999999999999", ["after"]),
    ],
)
def test_every_error_of_an_address_is_reported_at_once(name: str, query: str, fields: list[str]) -> None:
    [route] = [route for route in routes.ROUTES if route.name == name]
    problems = parameters.problems(route, parse_qsl(query, keep_blank_values=True), 1_700_000_000.0)
    assert [error["field"] for error in problems] == fields


@pytest.mark.parametrize(
    ("body", "field", "host"),
    [
        ({"kind": "open", "item": "02", "host": "console_2"}, "console", "console_2"),
        ({"kind": "resolve", "instances": ["scen2_srv_01"], "host": "server_1"}, "keep", "server_1"),
    ],
)
def test_former_names_of_fields_are_still_taken(body: Any, field: str, host: str) -> None:
    request = posted(body)
    assert request[field] == host
    assert "host" not in request


def test_an_error_names_field_value_allowed_and_nearest() -> None:
    with pytest.raises(read.RequestErrors) as found:
        posted({"kind": "drain", "host": "server1"})
    [problem] = found.value.errors
    assert (problem["field"], problem["value"], problem["nearest"]) == ("host", "server1", "server_1")
    assert "server_9" in problem["allowed"]  # it left the inventory and still holds something


def test_a_console_is_never_guessed() -> None:
    [problem] = wrong({"kind": "open", "item": "02"}, AT_CONTROLLER)
    assert problem == "console: on which console? This request comes from controller, which is no console"


def test_a_window_of_a_host_opens_there_and_nobody_says_where() -> None:
    windows = replace(SITE.application("scen2_hci"), name="overview", per="host", peer=None, bus=None)
    names = names_of(replace(SITE, applications=(*SITE.applications, windows)))
    [instance] = [name for name in names.instances if name == "overview_console_1"]
    for who in (AT_CONTROLLER, AT_CONSOLE):
        request = actions.request_of({"kind": "open", "instances": [instance]}, names, who)
        assert (request.instances, request.console) == ((instance,), "")


JSON = {"host": "localhost:1", "content-type": "application/json"}


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {"host": "127.77.1.1:8770"}, None),
        ("GET", {"host": "localhost"}, None),
        ("GET", {"host": "muster"}, 421),
        ("GET", {"host": "muster:8770"}, 421),
        ("GET", {"host": "[::1]:8770"}, None),
        ("GET", {}, 421),
        ("GET", {"host": "evil.example:8770"}, 421),
        ("GET", {"host": "127.0.0.1.evil.example"}, 421),
        ("GET", {"host": "127.0.0.1, evil.example"}, 421),
        ("GET", {"host": "10.0.0.1"}, 421),
        ("GET", {"host": "[::1]evil.example"}, 421),
        ("GET", {"host": "[::1]:8770:1"}, 421),
        ("GET", {"host": "localhost:80:80"}, 421),
        ("GET", {"host": "localhost:8770@evil.example"}, 421),
        ("GET", {"host": "[127.0.0.1"}, 421),
        ("OPTIONS", {"host": "localhost:1"}, None),
        ("OPTIONS", {"host": "localhost:1", "origin": "http://evil.example"}, 403),
        ("PUT", {"host": "localhost:1"}, 415),
        ("POST", {**JSON, "content-encoding": "gzip"}, 415),
        ("POST", {**JSON, "content-encoding": "identity"}, None),
        ("GET", {"host": "localhost:1", "origin": "http://evil.example"}, 403),
        ("POST", JSON, None),
        ("POST", {**JSON, "origin": "http://localhost:1"}, None),
        ("POST", {**JSON, "origin": "http://localhost:2"}, 403),
        ("POST", {**JSON, "origin": "null"}, 403),
        ("POST", {**JSON, "sec-fetch-site": "cross-site"}, 403),
        ("GET", {"host": "localhost:1", "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, 403),
        ("GET", {"host": "localhost:1", "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, None),
        ("GET", {"host": "localhost:1", "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}, None),
        ("POST", {**JSON, "content-type": "text/plain"}, 415),
        ("POST", {"host": "localhost:1"}, 415),
        ("POST", {**JSON, "content-length": "99999999"}, 413),
    ],
)
def test_pages_of_other_origins_are_kept_out(method: str, headers: dict[str, str], status: int | None) -> None:
    refused = guard.refusal(method, headers)
    assert (refused[0] if refused else None) == status


def test_the_name_that_command_lines_write_is_no_name_for_browsers() -> None:
    assert guard.refusal("GET", {"host": "muster"}, unix=True) is None
    page = {"host": "muster:8770", "origin": "http://muster:8770"}  # a rebound name, through `muster page`
    for unix in (False, True):
        refused = guard.refusal("GET", page, unix)
        assert refused is not None and refused[0] == 421


def test_door_and_address_show_the_host() -> None:
    places = places_of(SITE, 4711)
    assert places.consoles == {"console_1", "console_2"}
    unix = caller(Connection(Door("unix", "console_2", "/x"), 4711), places)
    assert (unix.host, unix.console, unix.may) == ("console_2", "console_2", (LOOK, ACT, ADMINISTER))
    far = caller(Connection(Door("unix", "console_2", "/x", far=True), 4711), places)
    assert far.may == (LOOK, ACT), "another machine says who it is"
    assert caller(Connection(Door("unix", "server_1", "/x"), 4712), places).may == (LOOK,)
    address = next(a for a, host in places.addresses.items() if host == "console_1")
    over = Connection(Door("tcp", "controller", "127.0.0.1", 1), None, (address, 1), ("127.0.0.1", 1))
    found = caller(over, places)  # nobody is at the other end any more
    assert (found.who, found.host, found.console) == ("somebody on " + address, "console_1", "console_1")
    assert found.may == (LOOK,)


def test_only_callers_who_may_act_may_name_another_person() -> None:
    places = places_of(SITE, 4711)
    near, far = Door("unix", "controller", "/x"), Door("unix", "console_1", "/y", far=True)
    assert [caller(Connection(near, uid, user="eve"), places).who for uid in (4711, 0)] == ["eve", "eve"]
    assert caller(Connection(near, 4712, user="eve"), places).who == "user 4712"
    assert caller(Connection(far, 4711, user="eve"), places).who == "eve"


def test_an_address_that_two_hosts_share_shows_no_host() -> None:
    shared = replace(SITE, hosts=tuple(replace(host, address="127.0.0.9") for host in SITE.hosts))
    assert places_of(shared, 0).addresses == {}


@pytest.mark.parametrize("address", ["0.0.0.0", "192.168.1.4", "::", "localhost", "127.0.0.1.nip.io", "127.0.0.256"])
def test_nothing_but_loopback_is_listened_on(address: str, tmp_path: Path) -> None:
    with pytest.raises(SiteErrors) as found:
        compiler.compile_site(raw_site(muster_settings={"api_address": address, "api_port": 8770}))
    said = "muster_settings.api_address: the API listens on loopback addresses only: roles, tokens and TLS"
    assert (said if address[0].isdigit() else "muster_settings.api_address: ") in str(found.value)
    by_hand = replace(SITE, settings=replace(SITE.settings, api_address=address, api_port=8770))
    wanted, [refused] = doors.wanted(by_hand, "s", tmp_path)  # a published site that was edited by hand
    assert [door.kind for door in wanted] == ["unix"]
    assert "is not loopback: roles, tokens and TLS are a step of their own" in refused
    with pytest.raises(doors.NotOpened):
        doors.listen(Door("tcp", "c", address, 8770))


def test_the_port_of_the_api_is_used_by_nothing_else() -> None:
    for port, whose in ((20004, "a port of scen2_srv for item 01"), (19000, "a port of host service common_data_bus")):
        with pytest.raises(SiteErrors, match=whose):
            compiler.compile_site(raw_site(muster_settings={"api_port": port}))
    site = compiler.compile_site(raw_site(muster_settings={"api_port": 8770, "api_address": "127.1.2.3"}))
    assert (site.settings.api, site.settings.api_address, site.settings.api_port) == (True, "127.1.2.3", 8770)


def test_only_hosts_whose_marker_is_here_get_a_door(tmp_path: Path) -> None:
    hosts = []
    for name, marker in (("here", "here"), ("elsewhere", None), ("other", "not_other")):
        root = tmp_path / name
        (root / "etc").mkdir(parents=True)
        if marker:
            (root / "etc" / "host.json").write_text(json.dumps({"host": marker, "site_id": "s"}))
        hosts.append(site_model.Host(name, 0, name, "127.0.0.5", str(root), connection="local"))
    wanted, _ = doors.wanted(replace(SITE, hosts=tuple(hosts)), "s", tmp_path)
    assert [door.host for door in wanted] == ["controller", "here"]
    assert not doors.lives_here(replace(hosts[0], connection="ssh"), "s")
    assert not doors.lives_here(hosts[0], "another site")


def test_load_history_is_bounded_and_survives(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    history = History(path, points=5, apart=10)
    for minute in range(3000):
        history.add({"server_1": (minute * 60.0, minute % 100, 2, 42, 42), "server_2": (0.0, 1, 1, 1, 1)})
    kept = history.to_json()["hosts"]
    assert [point[0] for point in kept["server_1"]] == [minute * 60.0 for minute in range(2995, 3000)]
    assert len(kept["server_2"]) == 1  # the same observation again is none
    assert len(path.read_text().splitlines()) < 1100
    with path.open("a") as handle:
        handle.write('["server_1", 999')  # killed while it wrote
    again = History(path, points=5, apart=10)
    assert again.to_json()["hosts"] == kept
    again.add({"server_1": (3000 * 60.0, 1, 2, 3, 4)})
    assert History(path, points=5, apart=10).to_json()["hosts"]["server_1"][-1][0] == 3000 * 60.0
    assert path.stat().st_mode & 0o777 == 0o600
    again.forget(["server_2"])
    assert list(again.to_json()["hosts"]) == ["server_2"]


def test_a_clock_that_is_set_back_ends_no_load_history(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    history = History(path, points=10, apart=10)
    for at in (0.0, 60.0, 120.0, 9000.0, 9060.0):  # the last two by a clock that was wrong
        history.add({"server_1": (at, 1, 1, 1, 1)})
    for at in (180.0, 180.0, 175.0, 240.0):
        history.add({"server_1": (at, 2, 2, 2, 2)})
    kept = history.to_json()["hosts"]["server_1"]
    assert [point[0] for point in kept] == [0.0, 60.0, 120.0, 180.0, 240.0]
    assert History(path, points=10, apart=10).to_json()["hosts"]["server_1"] == kept


@pytest.mark.parametrize(
    ("known", "has"),
    [('"a1"', True), ('W/"a1"', True), ('"b", W/"a1"', True), ("*", True), ('"a1"x', False), ("a1", False)],
)
def test_a_page_that_the_browser_has_is_not_sent_again(known: str, has: bool) -> None:
    assert page._has(known, '"a1"') is has


def test_numbers_in_errors_have_all_their_digits() -> None:
    [problem] = check.errors(10**4000, {"type": "number", "maximum": 4102444800})
    assert problem["message"] == "must be at most 4102444800"
    assert problem["value"] == "a number of very many digits"
    assert check.errors(2**60, {"type": "integer", "maximum": 1})[0]["value"] == str(2**60)
