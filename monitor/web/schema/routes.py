# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of all routes: the application, the checks and the OpenAPI document are made from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ...core.model import execution
from . import actions, routes_alarms, shapes

Json = dict[str, Any]
BASE = "/api/v1"
JSON_TYPE = "application/json"
TEXT_TYPE = "text/plain"
STREAM_TYPE = "text/event-stream"


@dataclass(frozen=True)
class Parameter:
    name: str
    place: str  # path | query | header
    doc: str
    schema: Json = field(default_factory=lambda: {"type": "string", "maxLength": 500})  # as other words of people


@dataclass(frozen=True)
class Answer:
    doc: str
    schema: str = ""  # a name in `shapes.SCHEMAS`
    media: str = JSON_TYPE


@dataclass(frozen=True)
class Route:
    """`name` is the operation, and the method of `app.Api` that serves it."""

    method: str
    path: str  # below BASE, unless `bare`
    name: str
    summary: str
    answers: dict[int, Answer]
    parameters: tuple[Parameter, ...] = ()
    body: str = ""  # a name in `bodies`
    bare: bool = False
    acts: bool = False  # changes something: only for callers who may act

    @property
    def streams(self) -> bool:
        return any(answer.media == STREAM_TYPE for answer in self.answers.values())

    @property
    def full_path(self) -> str:
        return self.path if self.bare else BASE + self.path


def bodies() -> dict[str, Json]:
    own = {"Request": actions.schema(), "WhatIf": shapes.WHAT_IF, "Execution": execution.SCHEMA}
    return {**own, "Withdrawal": shapes.WITHDRAWAL, **routes_alarms.BODIES}


_BAD = Answer("The request is wrong: every error with field, value, allowed values and the nearest name.", "Problem")
_UNHEARD = Answer("Nothing of it, and no such item, host or instance; the sentence names the nearest.", "Problem")
_GONE = Answer("There is no such item, instance or request; the sentence names the nearest.", "Problem")
_LATER = Answer("The state folder cannot be read now; the sentence says why.", "Problem")
_LIMIT = Parameter("limit", "query", "how many at most", {"type": "integer", "minimum": 1, "maximum": 1000})
_AFTER = Parameter("after", "query", "only those behind this id", {"type": "integer", "minimum": 0})
_OF = Parameter("instance", "query", "only of this instance")

_NOT_LOGS = Answer("You may look, not read logs: they may hold secrets.", "Problem")
_LOG = Parameter("name", "path", "an instance, an item, a host service, a host, or `monitor`")
_LOG_QUERY = (
    Parameter("program", "query", "only this program; a pattern (`data_*`) for several"),
    Parameter("host", "query", "only on this host"),
    Parameter("lines", "query", "how many at most; 200 where none is given",
              {"type": "integer", "minimum": 0, "maximum": 10000}),
    Parameter("since", "query", "only after this moment: `10m` (ago), `14:00`, `2030-01-31 14:00`, or seconds since"
              " 1970"),
    Parameter("until", "query", "only before this moment"),
    Parameter("grep", "query", "only lines with this word; in small letters, capitals do not matter"),
)

ROUTES = (
    Route(
        "GET",
        "/status",
        "status",
        "What runs where, and how well",
        {200: Answer("The whole picture.", "Status"), 503: _LATER},
    ),
    Route(
        "GET",
        "/status.txt",
        "status_text",
        "The same as a table, as `muster status` shows it",
        {200: Answer("Lines of text.", media=TEXT_TYPE), 422: _BAD, 503: _LATER},
        (
            Parameter("width", "query", "characters in a line", {"type": "integer", "minimum": 40, "maximum": 1000}),
            Parameter("items", "query", "only these: ids or names of instances, by commas"),
            Parameter("not_normal", "query", "1: only what is not normal", {"type": "integer", "enum": [0, 1]}),
        ),
    ),
    Route(
        "GET",
        "/plan",
        "plan",
        "What a reconcile would do now, and why; over what the hosts said last",
        {200: Answer("The plan; nothing is done.", "Plan"), 503: _LATER},
    ),
    Route(
        "GET",
        "/plan.txt",
        "plan_text",
        "The same as lines, as `muster plan` shows it",
        {200: Answer("Lines of text.", media=TEXT_TYPE), 503: _LATER},
    ),
    Route(
        "GET",
        "/events",
        "events",
        "The trail: who did what, why, and what came of it",
        {200: Answer("Oldest first; without `after` the newest ones.", "Events"), 404: _UNHEARD, 422: _BAD,
         503: _LATER},
        (_AFTER, _LIMIT, _OF),
    ),
    Route(
        "GET",
        "/events/stream",
        "stream",
        "Events as they happen",
        {
            200: Answer(
                "Server-sent events. `trail`: an entry of the trail, with its number as id; `status`: the status"
                " document, whenever it changed. A comment line every few seconds tells that the stream lives.",
                media=STREAM_TYPE,
            ),
            422: _BAD,
            503: Answer("Too many streams are open, or the state folder cannot be read.", "Problem"),
        },
        (
            Parameter("Last-Event-ID", "header", "the last id that came through: what followed it comes first"),
            Parameter("changes", "query", "1: after the first `status`, `change` events with what differs",
                      {"type": "integer", "enum": [0, 1]}),
            Parameter("have", "query", "with `changes`: `at` of the status that the client has; only what"
                      " differs follows"),
            Parameter("figures", "query", "`figures` events, too, at this interval: `10s`, `5m`; for callers who may"
                      " act"),
            Parameter(
                "after", "query", "the same, for clients that cannot set the header", {"type": "integer", "minimum": 0}
            ),
        ),
    ),
    *routes_alarms.routes(Route, Answer, Parameter, _BAD, _LATER, _UNHEARD),
    Route(
        "GET",
        "/history",
        "history",
        "Load of every host over time",
        {200: Answer("Curves.", "History"), 404: _UNHEARD, 422: _BAD},
        (
            Parameter("host", "query", "only of this host"),
            Parameter("points", "query", "so many points of each at most, evenly chosen",
                      {"type": "integer", "minimum": 2, "maximum": 10000}),
        ),
    ),
    Route(
        "GET",
        "/why/{instance}",
        "why",
        "How one instance is, why, what would be done next, and its story",
        {200: Answer("What `muster why --json` says.", "Why"), 404: _GONE, 422: _BAD, 503: _LATER},
        (Parameter("instance", "path", "name of an instance"), _LIMIT),
    ),
    Route(
        "GET",
        "/logs/{name}",
        "logs",
        "The last lines of logs, of all hosts that have them, in the order of time; for callers who may act",
        {200: Answer("What the programs wrote.", "Logs"), 403: _NOT_LOGS, 404: _GONE, 422: _BAD, 503: _LATER},
        (_LOG, *_LOG_QUERY, Parameter("previous", "query", "1: the run before the last start of each program",
                                      {"type": "integer", "enum": [0, 1]})),
        acts=True,
    ),
    Route(
        "GET",
        "/logs/{name}/stream",
        "log_stream",
        "The same, followed as it is written",
        {
            200: Answer(
                "Server-sent events. `sources`: a list of {host, instance, program}; `lines`: a list of {source, at,"
                " text}, with an id to go on from; `over`: {host, why} of a host that is asked again later. The stream"
                " ends when what it follows is elsewhere: a client that comes back gets the rest.",
                media=STREAM_TYPE,
            ),
            403: _NOT_LOGS, 404: _GONE, 422: _BAD, 503: _LATER,
        },
        (_LOG, *_LOG_QUERY, Parameter("Last-Event-ID", "header", "the last id that came through: lines after it")),
        acts=True,
    ),
    Route(
        "GET",
        "/programs",
        "programs",
        "What programs use now: processor, memory, threads, open files, restarts",
        {200: Answer("Each with its children; asked of the hosts at this moment.", "Programs"), 403: _NOT_LOGS,
         404: _GONE, 422: _BAD, 503: _LATER},
        (Parameter("name", "query", "an instance or an item; all that run where none is given"),),
        acts=True,
    ),
    Route(
        "GET",
        "/programs/past",
        "programs_past",
        "What programs used over the last hours, one point a minute, and how fast it grows",
        {200: Answer("Oldest first, without moments at which nothing is known.", "ProgramsPast"), 403: _NOT_LOGS,
         404: _GONE, 422: _BAD, 503: _LATER},
        (
            Parameter("name", "query", "an item, an instance, or INSTANCE/PROGRAM"),
            Parameter("since", "query", "a moment, such as 2h (ago) or 06:00; 12 h where none is given"),
            Parameter("points", "query", "0: without the points", {"type": "integer", "enum": [0, 1]}),
        ),
        acts=True,
    ),
    Route(
        "GET",
        "/last-words",
        "last_words",
        "Failures of programs of which the last lines are kept, the newest first",
        {200: Answer("Without the lines.", "LastWords"), 403: _NOT_LOGS, 404: _UNHEARD, 422: _BAD},
        (_OF, Parameter("limit", "query", "how many at most; 20 where none is given",
                        {"type": "integer", "minimum": 1, "maximum": 300})),
        acts=True,
    ),
    Route(
        "GET",
        "/last-words/{id}",
        "last_words_of",
        "What the programs of an instance wrote last before one of them failed",
        {200: Answer("As `/logs/{name}`, with what failed, how, and a core file.", "Logs"), 403: _NOT_LOGS, 404: _GONE,
         422: _BAD},
        (Parameter("id", "path", "as the list has it"),),
        acts=True,
    ),
    Route(
        "GET",
        "/explain/{item}",
        "explain",
        "Each candidate host of an item: load, limit, rule, verdict",
        {200: Answer("Per instance of the item.", "Explanation"), 404: _GONE, 503: _LATER},
        (Parameter("item", "path", "an item's id"),),
    ),
    Route(
        "POST",
        "/what-if",
        "what_if",
        "What would become of the items on a changed site; nothing is touched",
        {200: Answer("Where everything would be.", "Readiness"), 400: _BAD, 422: _BAD, 503: _LATER},
        body="WhatIf",
    ),
    Route("GET", "/whoami", "whoami", "Whom the monitor takes you for", {200: Answer("You.", "Caller")}),
    Route(
        "POST",
        "/actions",
        "act",
        "Start, stop, open, drain ... ; answers when it is done",
        {
            200: Answer("It is done, or was refused: see `ok`.", "Answer"),
            202: Answer("`wait=0`: taken; `Location` tells where to ask for the answer.", "Ticket"),
            400: _BAD,
            403: Answer("You may look, not act.", "Problem"),
            422: _BAD,
            500: Answer("The monitor failed at it; see its log.", "Problem"),
            503: _LATER,
        },
        (
            Parameter("wait", "query", "0: do not wait for the answer", {"type": "integer", "enum": [0, 1]}),
            Parameter("dry_run", "query", "1: answer with the plan, do nothing", {"type": "integer", "enum": [0, 1]}),
            Parameter("save", "query", "1: with `dry_run`, keep the plan for `apply`; `saved` is what its file has",
                      {"type": "integer", "enum": [0, 1]}),
            Parameter("approve", "query", "1: with `save`, only somebody else may apply it",
                      {"type": "integer", "enum": [0, 1]}),
        ),
        body="Request",
        acts=True,
    ),
    Route(
        "POST",
        "/exec",
        "execute",
        "Run a command beside a program that runs; answers when it has ended",
        {
            200: Answer("It was run; `code` is its exit code.", "Executed"),
            403: Answer("Only the owner of the state folder may, on the controller.", "Problem"),
            422: Answer("The request is wrong, or nothing can be run there now: the sentence says why.", "Problem"),
            503: Answer("It is not known what became of it; the sentence says why.", "Problem"),
        },
        body="Execution",
        acts=True,
    ),
    Route(
        "GET",
        "/actions/{id}",
        "ticket",
        "The outcome of a request that was not waited for",
        {200: Answer("How far it is.", "Ticket"), 404: _GONE, 422: _BAD},
        (
            Parameter("id", "path", "as the 202 gave it"),
            Parameter(
                "wait", "query", "seconds to wait for the outcome", {"type": "integer", "minimum": 0, "maximum": 60}
            ),
        ),
    ),
    Route(
        "DELETE",
        "/actions/{id}",
        "withdraw",
        "Withdraw a request that waits: no run has planned it, so nothing is done",
        {
            200: Answer("It is withdrawn.", "Answer"),
            403: Answer("Somebody else asked for it, and you may not administer; or you may look, not act.", "Problem"),
            404: Answer("There is no such request that waits.", "Problem"),
            409: Answer("It is begun, or has ended: the sentence says what to do, or what came of it.", "Problem"),
            422: _BAD,
            503: _LATER,
        },
        (Parameter("id", "path", "as the 202 gave it, or the list of requests in `/status`"),),
        body="Withdrawal",
        acts=True,
    ),
    Route("GET", "/openapi.json", "openapi", "This document", {200: Answer("OpenAPI 3.1.")}),
    Route(
        "GET",
        "/metrics",
        "metrics",
        "For Prometheus",
        {200: Answer("Text exposition format, or OpenMetrics by the `Accept` header.", media=TEXT_TYPE), 503: _LATER},
        bare=True,
    ),
    Route(
        "GET",
        "/healthz",
        "healthz",
        "Whether the monitor supervises: its loop turns and it has a watch list",
        {200: Answer("It does.", "Health"), 503: Answer("It does not; the sentence says why.", "Health")},
        bare=True,
    ),
)
