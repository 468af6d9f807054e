# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API of the monitor of a real site: every route as documented, callers, actions, events, and the CLI over it."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import pwd
import re
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.web.schema import routes
from tests.integration import real_prometheus
from tests.integration.api_client import Client, fits, told
from tests.integration.frozen_runs import frozen_runs
from tests.integration.local_site import ROOT, SiteLab, site_lab, wait_for
from tests.integration.site.api_doors import at_a_console, at_the_controller, console, last_event, listeners, verdict_of
from tests.unit.monitor.test_prometheus_files import expressions, panels

UNUSUAL = ("Items to look at", "Pending configurations")  # panels that are empty while all is well
PORT = 8770  # of inventory/local
ME = pwd.getpwuid(os.geteuid()).pw_name


@pytest.fixture(scope="module")
def lab() -> Iterator[SiteLab]:
    with site_lab(74) as deployed:
        deployed.start_monitor()
        wait_for(lambda: '"it listens"' in deployed.monitor_log(), "the API", deployed.monitor_log)
        yield deployed


@pytest.fixture
def api(lab: SiteLab) -> Client:
    """Through the controller's own socket."""
    return Client(lab.state / "run" / "api.sock")


def test_every_route_that_looks_answers_as_promised(api: Client) -> None:
    wait_for(lambda: api.get("/history").json["hosts"], "a point of the load curves")
    paths = {"why": "/why/scen2_srv_01", "explain": "/explain/01", "events": "/events?limit=3",
             "logs": "/logs/01?lines=3", "programs_past": "/programs/past?name=01"}
    asked = set()
    for route in routes.ROUTES:
        if route.method != "GET" or route.name in ("stream", "ticket", "log_stream", "last_words_of"):
            continue
        path = paths.get(route.name, route.path)
        answer = api.ask("GET", path if route.bare else routes.BASE + path)
        assert answer.status == 200, (route.name, answer.body)
        fits(answer, route.name)
        asked.add(route.name)
    assert len(asked) >= 10
    answer = api.post("/what-if", {"down": ["server_1"]})
    assert answer.json["actions"]
    fits(answer, "what_if")


def test_status_and_plan_are_those_of_the_command_line(lab: SiteLab, api: Client) -> None:
    document = api.get("/status").json
    assert {item["verdict"] for item in document["items"]} == {"operational"}
    assert document["monitor"]["state"] == "running"
    shown = json.loads(lab.muster("status", "--json").output)
    assert {key: shown[key] for key in ("site", "site_id", "counts")} == {
        key: document[key] for key in ("site", "site_id", "counts")
    }
    assert shown.keys() == json.loads(lab.muster("status", "--last", "--json", "--fresh").output).keys()
    assert [a for a in api.get("/plan").json["actions"] if a["instance"]] == []


def test_unknown_names_and_wrong_requests_are_reported(api: Client) -> None:
    for path, status, says in (
        ("/why/scen2_srv_1", 404, "did you mean scen2_srv_01?"),
        ("/explain/1", 404, "there is no item 1 in this site"),
        ("/actions/none", 404, "there is no request"),
        ("/events?limit=x", 422, "limit: must be a whole number"),
        ("/events?limit=0", 422, "limit: must be at least 1"),
        ("/events?limt=1", 422, "did you mean limit?"),
        ("/statu", 404, "did you mean /api/v1/status?"),
    ):
        answer = api.get(path)
        assert (answer.status, says in answer.json["error"]) == (status, True), (path, answer.body)
    assert api.ask("DELETE", "/api/v1/status", {}).status == 405
    for body, status in ((b"{", 400), (b'{"kind": NaN}', 400), (b"[" * 40000, 400), (b" " * 70000, 413)):
        assert api.ask("POST", "/api/v1/actions", body).status == status, body[:20]
    answer = api.post("/actions", {"kind": "start", "instanes": ["scen2_srv_01"]})
    fits(answer, "act")
    assert [error["field"] for error in answer.json["errors"]] == ["instanes", "instances"]
    assert api.post("/what-if", {"down": ["server_9"]}).status == 422


def test_the_sockets_are_for_their_owner_only(lab: SiteLab) -> None:
    for path in (lab.state / "run" / "api.sock", lab.root("console_1") / "run" / "api.sock"):
        facts = path.stat()
        assert stat.S_ISSOCK(facts.st_mode)
        assert stat.S_IMODE(facts.st_mode) == 0o600
    listening = listeners(PORT)
    assert any(address.startswith(lab.net) for address in listening)
    assert all(address.startswith("127.") for address in listening)


def test_the_caller_is_known_by_socket_and_address(lab: SiteLab, api: Client) -> None:
    here = api.get("/whoami").json
    assert here == {"who": ME, "host": "controller", "console": "", "address": "", "may": ["look", "act", "administer"]}
    there = console(lab, 2).get("/whoami").json
    assert (there["who"], there["host"], there["console"]) == (ME, "console_2", "console_2")
    page = Client((lab.net + ".1", PORT))
    assert page.get("/whoami").json["console"] == ""
    by_source = Client((lab.net + ".1", PORT), lab.net + ".21").get("/whoami").json
    assert by_source == {
        "who": ME, "host": "console_1", "console": "console_1", "address": lab.net + ".21",
        "may": ["look", "act", "administer"],
    }  # fmt: skip
    assert Client((lab.net + ".23", PORT)).get("/whoami").json["console"] == "console_3"
    assert Client((lab.net + ".11", PORT)).get("/whoami").json["host"] == "server_1"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_another_user_may_look_and_not_act(lab: SiteLab) -> None:
    ours, theirs = multiprocessing.get_context("fork").Pipe()

    def somebody() -> None:
        os.setgroups([])
        os.setresuid(65534, 65534, 65534)
        page = Client((lab.net + ".1", PORT))
        answer = page.post("/actions", {"kind": "stop", "instances": ["scen2_srv_01"]})
        secret = [page.get(path) for path in ("/logs/01", "/logs/01/stream", "/last-words", "/programs")]
        refused = [(one.status, "read logs" in one.json["error"]) for one in secret]
        theirs.send((page.get("/whoami").json, answer.status, answer.json, refused))

    other = multiprocessing.get_context("fork").Process(target=somebody)
    other.start()
    assert ours.poll(30), "somebody got no answer"
    who, status, answer, refused = ours.recv()
    other.join()
    assert who["who"] != ME
    assert who["may"] == ["look"]
    assert (status, "only the owner of" in answer["error"]) == (403, True)
    assert refused == [(403, True)] * 4


def test_other_origins_and_names_are_kept_out(lab: SiteLab) -> None:
    page = Client((lab.net + ".1", PORT))
    own = "http://%s.1:%d" % (lab.net, PORT)
    assert page.get("/status", Host="rebound.example:%d" % PORT).status == 421
    body = {"kind": "reset", "instances": ["scen2_srv_9"]}
    assert page.post("/actions", body, Origin="http://evil.example").status == 403
    assert page.post("/actions", body, Sec_Fetch_Site="cross-site").status == 403
    assert page.post("/actions", body, Content_Type="text/plain").status == 415
    answer = page.post("/actions", body, Origin=own)
    assert answer.status == 422  # let in, and read
    for name, value in (("x-frame-options", "DENY"), ("cache-control", "no-store")):
        assert answer.headers[name] == value
    assert "access-control-allow-origin" not in page.get("/status", Origin=own).headers


def test_a_request_that_is_not_waited_for_tells_its_end_later(lab: SiteLab, api: Client) -> None:
    answer = api.post("/actions?wait=0", {"kind": "restart", "instances": ["scen2_srv_03"]})
    assert answer.status == 202
    fits(answer, "act")

    def ticket() -> dict[str, Any]:
        return dict(api.ask("GET", answer.headers["location"]).json)

    wait_for(lambda: ticket()["state"] == "done", "its end", lab.monitor_log)
    assert ticket()["answer"]["results"]["scen2_srv_03"]["result"] == "running"
    fits(api.ask("GET", answer.headers["location"]), "ticket")


def waiting(api: Client) -> list[str]:
    return [one["id"] for one in api.get("/status").json["requests"]]


def test_one_request_that_waits_is_withdrawn_and_nothing_else(lab: SiteLab, api: Client) -> None:
    """A run has it, and has not planned it: it finds nothing to do then, and serves the next one."""
    before = {name: lab.claims()[name]["epoch"] for name in ("scen2_srv_01", "scen2_srv_03")}
    with frozen_runs(lab):
        wrong = api.post("/actions?wait=0", {"kind": "restart", "instances": ["scen2_srv_03"]}).json["id"]
        wait_for(lambda: waiting(api) == [wrong], "it waits", lab.monitor_log)
        kept = api.post("/actions?wait=0", {"kind": "restart", "instances": ["scen2_srv_01"]}).json["id"]
        assert "restart of scen2_srv_03, asked for by %s" % ME in lab.muster("status").output
        assert wrong in lab.muster("withdraw").output
        answer = console(lab, 1).ask("DELETE", "/api/v1/actions/" + wrong, {"why": "it was 02"})
        fits(answer, "withdraw")
        said = "restart of scen2_srv_03 is withdrawn by %s: it was 02; nothing was done" % ME
        assert (answer.status, answer.json["said"]) == (200, [said])
        told = wait_for(lambda: api.get("/actions/" + wrong).json.get("answer"), "who waits gets to know it meanwhile")
        assert told["said"] == [said] and wrong not in waiting(api)
    wait_for(lambda: api.get("/actions/" + kept).json["state"] == "done", "the other one", lab.monitor_log)
    assert api.get("/actions/" + kept).json["answer"]["ok"]
    assert lab.muster("restart", "scen2_srv_01").rc == 0
    assert lab.claims()["scen2_srv_01"]["epoch"] >= before["scen2_srv_01"] + 2
    assert lab.claims()["scen2_srv_03"]["epoch"] == before["scen2_srv_03"]
    assert api.get("/status").json["monitor"]["no_runs"] is None
    [entry] = [e for e in api.get("/events?limit=20").json["events"] if e.get("result") == "withdrawn"]
    assert (entry["who"], entry["from"], entry["why"]) == (ME, "console_1", "it was 02")
    assert entry["what"] == "restart of scen2_srv_03, asked for by %s, is withdrawn" % ME
    late = lab.muster("withdraw", kept)
    assert late.rc == 5 and late.output.startswith("muster: restart of scen2_srv_01 has ended already: "), late.output
    unknown = lab.muster("withdraw", "0123456789abcdef")
    assert unknown.rc == 3 and "there is no request 0123456789abcdef that waits" in unknown.output


def test_a_request_that_waits_for_the_hosts_is_withdrawn_with_its_run(lab: SiteLab, api: Client) -> None:
    """A drain looks at every host before it is planned."""
    ident = api.post("/actions?wait=0", {"kind": "drain", "host": "server_3", "why": "a slip"}).json["id"]
    code, text = at_a_console(lab, "withdraw", ident, "--why", "server_2 was meant")
    assert code == 0 and text.startswith("drain of server_3 is withdrawn by %s: server_2 was meant" % ME), text
    wait_for(lambda: api.get("/actions/" + ident).json["state"] == "done", "its answer", lab.monitor_log)
    answer = api.get("/actions/" + ident).json["answer"]
    assert (answer["ok"], answer["said"]) == (False, [text.rstrip("\n")])
    assert [host["drain"] for host in api.get("/status").json["hosts"] if host["host"] == "server_3"] == [None]


def test_the_stream_resumes_where_it_ended(lab: SiteLab, api: Client) -> None:
    start = last_event(api)
    with contextlib.closing(api.stream()) as stream:
        first = [next(stream) for _ in range(4)]
        assert {event for event, _, _ in first} >= {"status", "alarms", "alive", ""}
        api.post("/actions", {"kind": "restart", "instances": ["scen2_srv_01"], "why": "for the stream"})
        ids = []
        while len(ids) < 2:
            event, ident, data = next(stream)
            if event == "trail":
                assert int(ident) == data["id"]
                ids.append(data["id"])
    newest = last_event(api)
    assert ids == [start + 1, start + 2]
    for resumed in (api.stream(Last_Event_ID=str(ids[0])), api.stream("/events/stream?after=%d" % ids[0])):
        with contextlib.closing(resumed):
            seen: list[int] = []
            while not seen or seen[-1] < newest:
                event, _, data = next(resumed)
                seen += [data["id"]] if event == "trail" else []
        assert seen == list(range(ids[0] + 1, newest + 1))
    assert api.get("/events/stream", Last_Event_ID="x").status == 422


def test_a_crash_shows_in_stream_and_metrics(lab: SiteLab, api: Client) -> None:
    def crashes() -> int:
        page = api.ask("GET", "/metrics").body.decode()
        [line] = [
            line for line in page.splitlines() if line.startswith('muster_interventions_total{cause="bus crash"}')
        ]
        return int(float(line.split()[-1]))

    before, epoch = crashes(), lab.claims()["scen2_srv_02"]["epoch"]
    with contextlib.closing(api.stream()) as stream:
        next(stream)
        os.kill(lab.bus("scen2_srv_02"), signal.SIGKILL)
        told(stream, "its restart", lambda event, data: (
            event == "status" and data["instances"]["scen2_srv_02"]["epoch"] > epoch
        ))  # fmt: skip
    wait_for(lambda: lab.claims()["scen2_srv_02"]["phase"] == "running", "it again", lab.monitor_log)
    assert crashes() == before + 1


@pytest.mark.skipif(real_prometheus.PROGRAM is None, reason="prometheus is not installed (Debian: prometheus)")
def test_a_real_prometheus_scrapes_the_site_and_answers_every_expression(lab: SiteLab, tmp_path: Path) -> None:
    with real_prometheus.begun(tmp_path, lab.net + ".1", PORT) as prometheus:
        for expression in expressions():
            prometheus.ask(expression)  # an error is an HTTP error
        assert lab.muster("reconcile").rc == 0  # so that there is a run to be measured
        for title, expression, labels in panels():
            series = prometheus.curves(expression) if title in UNUSUAL else wait_for(
                lambda expression=expression: prometheus.curves(expression), title)  # type: ignore[misc]
            for one in series:
                assert one["values"] and labels <= set(one["metric"]), (title, one["metric"])
        [operational] = prometheus.ask('muster_items{verdict="operational"}')
        shown = [i for i in lab.status()["items"] if i["verdict"] == "operational"]
        assert float(operational["value"][1]) == len(shown) > 0
        assert prometheus.ask("histogram_quantile(0.5, rate(muster_probe_duration_seconds_bucket[10s]))")
        assert not prometheus.ask('ALERTS{alertname="MusterMonitorSilent"}')


def test_a_console_has_the_verbs_of_the_controller(lab: SiteLab, api: Client) -> None:
    code, text = at_a_console(lab, "explain", "01")
    assert code == 0 and text.startswith("scen2_srv_01: ") and "reserved" in text
    code, text = at_a_console(lab, "what-if", "--down", "server_1")
    assert code in (0, 1) and text.startswith("if server_1 is down")
    assert at_a_console(lab, "what-if")[0] == 2
    code, text = at_a_console(lab, "plan")
    both = (text, api.ask("GET", routes.BASE + "/plan.txt").body.decode())
    assert code == 0 and len({re.sub(r"until \d\d:\d\d:\d\d", "until", one) for one in both}) == 1, both
    assert at_a_console(lab, "rollout", "status") == (0, "no rollout is under way\n")
    assert at_a_console(lab, "drain", "server_1", "--dry-run")[0] == 0
    code, text = at_a_console(lab, "pause", "03", "--why", "new fan")
    assert code == 0, text
    assert [pause["why"] for pause in api.get("/status").json["pauses"]] == ["new fan"]
    assert at_a_console(lab, "resume", "03")[0] == 0
    assert at_a_console(lab, "complete", "--", "drain", "server_")[1].split() == ["server_1", "server_2", "server_3"]


def test_a_status_of_some_items(lab: SiteLab, api: Client) -> None:
    whole = api.ask("GET", routes.BASE + "/status.txt?items=02").body.decode()
    [row] = [line for line in whole.splitlines() if " operational " in line]
    for code, text in (at_a_console(lab, "status", "scen2_srv_02"), at_the_controller(lab, "status", "02")):
        assert code == 0 and row in text.splitlines()
    assert api.ask("GET", routes.BASE + "/status.txt?items=99").status == 404
    assert at_a_console(lab, "status", "99")[0] == at_the_controller(lab, "status", "99")[0] == 3


def test_req_3_minor_and_major_failures_are_reported_by_api_and_stream(lab: SiteLab, api: Client) -> None:
    assert console(lab, 1).post("/actions", {"kind": "open", "item": "01"}).json["ok"]
    with contextlib.closing(api.stream()) as stream:
        for instance, program, verdict in (
            ("scen2_hci_01", "chart_view", "degraded"),  # optional: minor
            ("scen2_srv_01", "config_manager", "not operational"),  # required: major
        ):
            os.kill(lab.program(instance, program), signal.SIGKILL)
            status = told(stream, verdict, lambda event, data, now=verdict: (
                event == "status" and verdict_of(data, "01")[0] == now
            ))  # fmt: skip
            assert program in verdict_of(status, "01")[1]
            asked = api.get("/status").json
            assert verdict_of(asked, "01") == verdict_of(status, "01")
            assert asked["counts"][verdict] == 1 and asked["counts"]["operational"] == 2
            for shown in (at_a_console, at_the_controller):
                code, text = shown(lab, "status", "--not-normal")
                assert code == 3 and program in text and "scen2_srv_03" not in text, text
        answer = api.post("/actions", {"kind": "restart", "instances": ["scen2_srv_01", "scen2_hci_01"]})
        assert answer.json["ok"], answer.json
        told(stream, "all of it again", lambda event, data: (
            event == "status" and verdict_of(data, "01")[0] == "operational"
        ))  # fmt: skip
    assert console(lab, 1).post("/actions", {"kind": "close", "item": "01"}).json["ok"]
    for shown in (at_a_console, at_the_controller):
        code, text = shown(lab, "status", "--not-normal")
        assert (code, "VERDICT" in text) == (0, False), text


def test_who_became_another_user_and_who_shares_an_account_are_in_the_trail(lab: SiteLab, api: Client) -> None:
    adam = {"SUDO_USER": "adam", "SUDO_UID": "4711", "SUDO_COMMAND": "/bin/bash"}
    paused = lab.muster("pause", "03", "--why", "a new fan", **adam)
    assert paused.rc == 0, paused.output
    assert api.get("/events?limit=1").json["events"][-1]["who"] == "adam"
    assert lab.muster("resume", "03", MUSTER_PERSON="Eve Ångström\r\nX-Muster-Person: root").rc == 0
    who = api.get("/events?limit=1").json["events"][-1]["who"]
    assert who == ME + " (Eve ÅngströmX-Muster-Person: root)", "one line, beside the account"


def test_events_are_followed_over_a_restart_of_the_monitor(lab: SiteLab) -> None:
    command = [str(ROOT / "bin" / "muster"), "events", "--follow", "-n", "1", "--json"]
    following = subprocess.Popen(command, env=lab.environment, stdout=subprocess.PIPE, text=True)
    try:
        assert following.stdout is not None
        newest = json.loads(following.stdout.readline())["id"]
        status = json.loads((lab.state / "run" / "monitor.json").read_text())
        os.kill(status["pid"], signal.SIGKILL)
        socket = Client(lab.state / "run" / "api.sock")

        def answers() -> bool:
            with contextlib.suppress(OSError):
                return socket.ask("GET", "/healthz").status == 200
            return False

        wait_for(answers, "the monitor again", lab.monitor_log)
        assert lab.muster("restart", "scen2_srv_03").rc == 0
        assert json.loads(following.stdout.readline())["id"] == newest + 1
    finally:
        following.kill()
        following.wait()
        if following.stdout is not None:
            following.stdout.close()
    assert socket.get("/history").json["hosts"]["server_1"]  # the load curves survived as well
