# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The routes about alarms and the past, for the table of `routes`."""

from __future__ import annotations

from typing import Any

_ITEM = {"type": "string", "minLength": 1, "maxLength": 64, "description": "the id of an item"}
BODIES: dict[str, dict[str, Any]] = {
    "Ask": {
        "type": "object",
        "properties": {
            "item": _ITEM,
            "why": {"type": "string", "maxLength": 500, "description": "for the people who are asked, and the trail"},
        },
        "required": ["item"],
        "additionalProperties": False,
    },
    "AskAnswer": {
        "type": "object",
        "properties": {"answer": {"type": "string", "enum": ["give", "keep"]}},
        "required": ["answer"],
        "additionalProperties": False,
    },
}
MOMENT = "seconds since 1970, `2h` ago, `06:00`, `2030-01-31 14:00`"


def routes(route: Any, answer: Any, parameter: Any, bad: Any, later: Any, unheard: Any) -> tuple[Any, ...]:
    """:param route: `Route`. :param answer: `Answer`. :param parameter: `Parameter`. :param bad: the answer to a wrong
    request. :param later: the answer while nothing can be read. :param unheard: the answer about what never was."""
    since = parameter("since", "query", "not before: " + MOMENT)
    until = parameter("until", "query", "before: " + MOMENT)
    limit = parameter("limit", "query", "how many at most", {"type": "integer", "minimum": 1, "maximum": 1000})
    about = (parameter("item", "query", "about this item"), parameter("host", "query", "about this host"))
    word = parameter("word", "query", "with this word in it")
    return (
        route(
            "GET",
            "/alarms",
            "alarms",
            "What a person has to know of, the newest that nobody has acknowledged on top",
            {200: answer("The list, with rates beside EEMUA 191.", "Alarms"), 503: later},
        ),
        route(
            "GET",
            "/alarms.txt",
            "alarms_text",
            "The same as text, as `muster alarms` shows it",
            {200: answer("Lines of text.", media="text/plain"), 503: later},
        ),
        route(
            "GET",
            "/handover.txt",
            "handover_text",
            "What one shift tells the next, as `muster handover` shows it",
            {200: answer("Lines of text.", media="text/plain"), 422: bad, 503: later},
            (since,),
        ),
        route(
            "GET",
            "/past",
            "past",
            "Every change of a verdict, an alarm or a host",
            {200: answer("Oldest first; without `after` the newest ones.", "Past"), 404: unheard, 422: bad, 503: later},
            (
                since,
                until,
                parameter("after", "query", "only those behind this id", {"type": "integer", "minimum": 0}),
                limit,
                parameter("what", "query", "what changed", {"type": "string", "enum": [
                    "item", "host", "alarm", "monitor"]}),
                *about,
                parameter("person", "query", "by this person"),
                word,
            ),
        ),
        route(
            "GET",
            "/story",
            "story",
            "The trail and every change, merged by time",
            {200: answer("Oldest first; the newest ones of the time. `more`: there are older ones.", "Story"),
             404: unheard, 422: bad, 503: later},
            (
                since,
                until,
                limit,
                *about,
                parameter("person", "query", "by this person: a part of the name"),
                word,
            ),
        ),
        route(
            "POST",
            "/asks",
            "ask",
            "Ask the people at another console for the window of an item; answers when they did or the time is over",
            {200: answer("`ok`: it is open here now.", "Answer"), 403: answer("You may look, not act.", "Problem"),
             422: bad, 503: later},
            body="Ask",
            acts=True,
        ),
        route(
            "POST",
            "/asks/{id}",
            "answer_ask",
            "Give a window to the console that asks, or keep it; only from the console that shows it",
            {200: answer("It was taken.", "Answer"), 403: answer("You may look, not act.", "Problem"), 422: bad},
            (parameter("id", "path", "as the event `asks` of the stream has it"),),
            body="AskAnswer",
            acts=True,
        ),
        route(
            "GET",
            "/handover",
            "handover",
            "What one shift tells the next; by default of the last eight hours",
            {200: answer("What is not normal, held back, changed and noted.", "Handover"), 422: bad, 503: later},
            (since,),
        ),
        route(
            "GET",
            "/availability",
            "availability",
            "How much of a time each item was of use; by default of the last day",
            {200: answer("Per item, with the pieces of time.", "Availability"), 422: bad, 503: later},
            (since, until, parameter("form", "query", "csv: a table instead", {"type": "string", "enum": ["csv"]})),
        ),
    )  # fmt: skip
