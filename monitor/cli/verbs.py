# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that change something: by a monitor that answers, else by a playbook; what they print, and how they end."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Mapping
from typing import Any

from ..core.client import saved_plan, terminal
from ..core.client.commands import FAILED, OK, REFUSED, UNKNOWN, USAGE, UnknownName, act
from ..core.client.options import Incomplete, request_of
from ..core.client.person import me
from ..core.model.request import KINDS, Request
from .by_playbook import Event, play
from .names import console, in_full, need_console
from .places import Places, UsageError

_PROGRESS = {"site": "checking the site", "observe": "observing every host", "plan": "planning", "act": "acting",
             "settle": "writing down the outcome", "host": "preparing the hosts",
             "ways": "trying the ways of leases"}  # fmt: skip
NOBODY = "the inventory has no host in its group muster_hosts, so there is no site: nothing was done"
# What only decides about tasks takes no time, and most of it is skipped.
_DECIDES = ("add_host", "assert", "debug", "fail", "group_by", "include_role", "include_tasks", "meta", "set_fact")
_NO_STEPS = tuple("ansible.builtin." + name for name in _DECIDES)


def change(options: argparse.Namespace, places: Places) -> int:
    """Carry out a request.

    :return: the exit code.
    :raises UsageError: when the command does not name its subject (instance, item or host).
    """
    kind, remote = KINDS[options.kind], places.remote
    extra: dict[str, Any] = {}
    if kind.name == "apply":
        saved = saved_plan.request_in_file(options.plan)
        if saved.get("kind") == "deploy":  # it needs the inventory, so the monitor cannot do it
            kind, remote = KINDS["deploy"], None
            extra = {"muster_accept": True} if saved.get("accept") else {}
    try:
        request = request_of(kind, options)
    except Incomplete as error:
        raise UsageError(str(error)) from None
    if kind.name == "open":
        request = request._replace(console=console(options, os.environ))
    if remote is not None:
        save, approve = getattr(options, "save", None) or "", getattr(options, "approve", False)
        return act(request.to_json(), remote, options.timeout, options.dry_run, save, approve)
    try:
        request = in_full(request, places.site())
        need_console(request, places.site())
    except UnknownName as error:
        print(error, file=sys.stderr)
        return UNKNOWN
    code = run(options, places, kind.name, {**_from_here(request).variables(), **saving(options), **extra})
    if kind.name == "deploy" and code == OK and places.state_dir is None:
        with contextlib.suppress(UsageError):
            places.need_state()  # remembers the inventory there, so that later commands need no -i
    return code


def run(
    options: argparse.Namespace, places: Places, verb: str, extra: Mapping[str, Any], check: bool = False
) -> int:
    """Run a playbook and print what it says.

    :param verb: the name of the playbook.
    :param extra: its extra variables.
    :param check: nothing is done; options may say so, too.
    :return: the exit code.
    """
    inventory = places.need_inventory()
    progress = Progress(sys.stderr, lines=verb == "deploy")
    failed: list[Event] = []
    lost: set[str] = set()  # instances of which the last round did not reach what was asked for
    ran = nobody = False
    check = check or bool(getattr(options, "dry_run", False) or getattr(options, "save", None))
    for event in play(verb, inventory, {**places.here(), **extra}, timeout=options.timeout, check=check):
        ran = ran or event.kind in ("ok", "failed", "unreachable", "ignored")
        nobody = nobody or event.kind == "nobody"
        if event.kind == "ok" and event.action == "settle":
            lost = (lost - set(event.result.get("results") or {})) | set(event.result.get("lost") or ())
        if event.kind == "said" and event.text:
            progress.clear()
            print(event.text, flush=True)
        elif event.kind == "ok" and event.action == "act" and event.result.get("diff") and check:
            from .differences import lines

            progress.clear()
            print("\n".join(lines(event.result["diff"])), flush=True)
        elif event.kind == "task" and event.action not in _NO_STEPS:
            progress.show(step(event))
        elif event.kind in ("ok", "ignored", "wait"):
            progress.again(event.name)
        elif event.kind in ("failed", "unreachable"):
            failed.append(event)
        elif event.kind == "end":
            progress.clear()
            code = ended(event, failed)
            if code == OK and nobody and not ran:
                print(NOBODY, file=sys.stderr)
                return USAGE
            return FAILED if code == OK and lost else code
    return FAILED


def step(task: Event) -> str:
    """What a task does, for people: without the name of its role, and in our words where we have some."""
    text = task.name.split(" : ", 1)[-1]
    if text.startswith("Validating arguments against arg spec"):  # of each role, before its first task
        text = "preparing the hosts"
    return _PROGRESS.get(task.action, text)


def ended(end: Event, failed: list[Event]) -> int:
    """Print each error once.

    :return: the exit code.
    """
    if failed:
        sentences = dict.fromkeys(_sentence(event) for event in failed)
        for sentence in sentences:
            print(sentence, file=sys.stderr)
        mistakes = {event.result.get("mistake") for event in failed}
        if any(event.action == "site" for event in failed):
            return USAGE
        if mistakes <= {"refused", "unknown name"}:
            return UNKNOWN if mistakes == {"unknown name"} else REFUSED
        return FAILED
    if end.code:
        words = [line for line in end.text.splitlines() if line.strip()]
        print("\n".join(words[:20]) or "ansible-playbook ended with %d" % end.code, file=sys.stderr)
        return USAGE
    return OK


def saving(options: argparse.Namespace) -> dict[str, Any]:
    """The variables by which a playbook in check mode saves its plan."""
    if not getattr(options, "save", None):
        return {}
    return {"muster_save": os.path.abspath(options.save), "muster_approve": bool(options.approve)}


class Progress:
    """One line that says what is being done, on a terminal only; with `lines`, elsewhere one for each step."""

    def __init__(self, stream: Any, on: bool = True, lines: bool = False) -> None:
        self._stream = stream
        self._shown = False
        self._on = on and bool(stream.isatty())
        self._lines = lines and not self._on
        self._text = ""
        self._hosts: set[str] = set()  # that are through with what is shown
        self._began = time.monotonic()

    def again(self, host: str = "") -> None:
        """Show the same again, with the time that has passed.

        :param host: this one is through with it.
        """
        if host:
            self._hosts.add(host)
        if self._on and self._text:
            self._write()

    def show(self, text: str) -> None:
        if self._lines and text != self._text:
            print("%s ..." % text, file=self._stream, flush=True)
        self._text, self._hosts = text, set()
        if self._on:
            self._write()

    def _write(self) -> None:
        parts = ["%s ..." % self._text]
        if len(self._hosts) > 1:
            parts.append("%d hosts" % len(self._hosts))
        seconds = int(time.monotonic() - self._began)
        if seconds > 1:
            parts.append("%d s" % seconds)
        terminal.overwrite(self._stream, " ".join(parts))
        self._shown = True

    def clear(self) -> None:
        if self._on and self._shown:
            terminal.overwrite(self._stream, "")
            self._shown = False


def _from_here(request: Request) -> Request:
    return request._replace(who=me(), where=os.environ.get("MUSTER_HOST", ""))


def _sentence(event: Event) -> str:
    own = event.action in ("site", "adopt", "plan", "settle", "standby", "status")
    return event.text if own else "%s: %s" % (event.name, event.text)


def as_json(document: Any) -> None:
    print(json.dumps(document, indent=2, sort_keys=False))
