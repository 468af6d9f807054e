# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What both command lines do beside a monitor, and how they print it: requests, the trail, one instance."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, TextIO, Tuple

from . import api

# Exit codes, one for each kind of mistake.
OK, FAILED, USAGE, UNKNOWN, NO_ANSWER, REFUSED = 0, 1, 2, 3, 4, 5
INTERRUPTED = 130
NOT_NORMAL = UNKNOWN  # of `status --not-normal`
CODES = (
    (OK, "done"),
    (FAILED, "it was tried and failed; status: the monitor cannot run playbooks; what-if: a service finds no place;"
             " alarms: one of high priority is not acknowledged"),
    (USAGE, "wrong command, option or value, or wrong configuration"),
    (UNKNOWN, "the site has no item, instance or host of this name; status --not-normal: something is not normal"),
    (NO_ANSWER, "not done in time, or no monitor answers"),
    (REFUSED, "understood and refused, with the reason"),
    (INTERRUPTED, "ended by Ctrl-C; what was begun goes on"),
)
WITHOUT_SUBJECT = ("is ", "must ", "holds ", "names ", '"')  # what begins so is about the field of its error
BACK = 1.0  # s between attempts to reach a monitor that went away

Json = Dict[str, Any]


def codes() -> str:
    """The table of exit codes, for `--help`."""
    return "exit codes:\n" + "\n".join("  %d  %s" % row for row in CODES)


def act(
    body: Mapping[str, Any], remote: api.Remote, timeout: float, dry_run: bool = False, save: str = "",
    approve: bool = False,
) -> int:  # fmt: skip
    """Post a request, print what came of it, and return the exit code.

    The caller's identity comes from the socket, never from the body.

    :param dry_run: print the plan of it only.
    :param save: the file for the plan, which is then the only thing that is done. :param approve: by somebody else.

    :raises Lost, Late, Busy: as `Remote.act`.
    """
    try:
        how = "/actions?dry_run=1" + ("&save=1" if save else "") + ("&approve=1" if save and approve else "")
        answer = remote.post(how, body, timeout) if dry_run or save else _carried_out(remote, body, timeout)
    except api.Busy:
        raise
    except KeyboardInterrupt as error:
        if not error.args:
            raise
        say("muster: %s" % error, sys.stderr)
        return INTERRUPTED
    except api.Refused as refused:
        return refusal(refused)
    stream = sys.stdout if answer["ok"] or not answer.get("refused") else sys.stderr
    for sentence in answer["said"]:
        say(sentence, stream)
    if answer.get("saved"):
        return save_plan(save, answer["saved"])
    if answer["ok"]:
        return OK
    return REFUSED if answer.get("refused") else FAILED


def _carried_out(remote: api.Remote, body: Mapping[str, Any], timeout: float) -> Json:
    """:raises KeyboardInterrupt: with what goes on, as a sentence."""
    from .waiting import Waiting  # not in the way of other commands

    waiting = Waiting(remote, body)
    waiting.began()
    try:
        return remote.act(body, timeout, waiting.turn)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(waiting.interrupted()) from None
    finally:
        waiting.end()


def save_plan(path: str, document: Mapping[str, Any]) -> int:
    """Write a saved plan to a person's file; the exit code."""
    from . import saved_plan  # not in the way of other commands

    try:
        saved_plan.write(path, document)
    except saved_plan.NoPlan as error:
        say("%s %s" % (path, error), sys.stderr)
        return USAGE
    say("saved to %s (mode 0600): muster apply %s does exactly this, or nothing" % (path, path))
    return OK


def refusal(refused: api.Refused) -> int:
    """Print each error of a refused request; the exit code."""
    for error in refused.errors or [{"message": str(refused)}]:
        say(_told(error), sys.stderr)
    return code(refused)


def code(refused: api.Refused) -> int:
    """The exit code of what the API refused."""
    if refused.status == 404 or (refused.errors and all(error.get("unknown") for error in refused.errors)):
        return UNKNOWN
    if refused.status in (403, 409):
        return REFUSED
    if refused.status >= 500:
        return FAILED if refused.status == 500 else NO_ANSWER
    return USAGE


def _told(error: Mapping[str, Any]) -> str:
    """An error of a request in words: with its option, where the sentence has no subject."""
    from ..model.request import FIELDS  # only after an error

    field, message = str(error.get("field") or ""), str(error["message"])
    if not field or not message.startswith(WITHOUT_SUBJECT):
        return message
    return "%s %s" % (FIELDS[field].options[0] if field in FIELDS else field, message)


def watch(remote: api.Remote, show: Callable[[Json], None]) -> None:
    """Show each new status document, for ever; wait for a monitor that went away."""
    while True:
        try:
            for event, document in remote.follow():
                read_by_somebody()
                if event == "status":
                    show(document)
        except (OSError, ValueError, api.Lost):
            pass
        say("the monitor does not answer: waiting for it", sys.stderr)
        time.sleep(BACK)


def follow(remote: api.Remote, after: int, show: Callable[[Json], None]) -> None:
    """Show each entry of the trail behind an id, for ever; wait for a monitor that went away."""
    while True:
        try:
            for event, entry in remote.follow(after):
                read_by_somebody()
                if event == "trail":
                    after = int(entry["id"])
                    show(entry)
        except (OSError, ValueError, api.Lost):
            pass
        time.sleep(BACK)


def read_by_somebody() -> None:
    """:raises Unwritable: when the reader of what is shown has gone."""
    from . import terminal  # not for what only needs the words of this file

    if terminal.unread():
        raise terminal.Unwritable


class UnknownName(Exception):
    """The site has nothing of this name; the text is one sentence."""


def named(name: str, status: Mapping[str, Any]) -> List[str]:
    """The instances that a name stands for: itself, or all of an item.

    :param status: the status document.
    :raises UnknownName: for neither.
    """
    instances = status["instances"]
    if name in instances:
        return [name]
    items = [item["item"] for item in status["items"]]
    if name in items:
        return [one for one, entry in instances.items() if entry["item"] == name]
    from ..model.sentences import did_you_mean

    near = did_you_mean(name, [*instances, *items])
    raise UnknownName("there is no instance or item %s in this site%s" % (name, near))


def add_parts(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a status that is not about everything."""
    parser.add_argument("items", nargs="*", metavar="ITEM", help="only these items, by id or by name of an instance")
    text = "only what does not work and nobody has stopped, paused or drained; exit code 3 if there is anything"
    parser.add_argument("--not-normal", action="store_true", help=text)


def items_of(names: Iterable[str], status: Mapping[str, Any]) -> List[str]:
    """The ids of the items that names stand for, each an id or the name of an instance.

    :raises UnknownName:
    """
    return list(dict.fromkeys(str(status["instances"][one]["item"]) for name in names for one in named(name, status)))


def chosen(status: Json, options: argparse.Namespace) -> Tuple[Json, int]:
    """The part of a status that the arguments of `add_parts` choose, and the exit code.

    The code is `FAILED` while the monitor cannot run playbooks, `NOT_NORMAL` where that is asked.

    :raises UnknownName:
    """
    code = FAILED if (status.get("monitor") or {}).get("no_runs") else OK
    if not (options.items or options.not_normal):
        return status, code
    from ..report import status_part  # only where it is asked for

    part = status_part.part(status, items_of(options.items, status), options.not_normal)
    if options.not_normal and code == OK and not status_part.is_normal(part):
        code = NOT_NORMAL
    return part, code


def print_why(
    name: str,
    instance: Mapping[str, Any],
    status: Mapping[str, Any],
    plan: Optional[Mapping[str, Any]],
    error: str,
    trail: List[Json],
) -> None:
    """Print how an instance is, why, what a reconcile would do with it, and what happened.

    :param instance: its entry in the status document.
    :param status: the status document, or what of it says how the monitor is: {"monitor"}.
    :param plan: of a reconcile; None when there is none, because of `error`.
    :param trail: the newest entries about the instance.
    """
    from ..report import story

    now = time.time()
    say(story.headline(name, instance, now))
    for label, text in story.facts(instance, status, name, now):
        say("  %-8s %s" % (label, text))
    actions = [action for action in (plan or {}).get("actions", []) if action["instance"] == name]
    for action in actions:
        say("  %-8s %s" % ("next", story.sentence(action)))
        print_candidates(plan or {}, name)
    if error or not actions:
        say("  %-8s %s" % ("next", error or "nothing: it is as wanted"))
    for entry in trail:
        say("  " + story.line(entry, now))


def print_candidates(plan: Mapping[str, Any], name: str) -> None:
    """Print whether each candidate host of an instance fits, and why."""
    for candidate in plan.get("candidates", {}).get(name, []):
        fits = "fits" if candidate.get("fits") else "does not fit"
        say("           %s: %s%s" % (candidate["host"], fits, ", " + candidate["why"] if candidate.get("why") else ""))


def say(text: str, stream: Optional[TextIO] = None) -> None:
    """Print a line at once."""
    stream = stream or sys.stdout
    stream.write(text + "\n")
    stream.flush()
