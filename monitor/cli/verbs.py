# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that are a playbook run: what they ask for, what they print, how they end."""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import getpass
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from ..core.client.api import before_sudo
from . import maintenance
from .by_api import LATE, NO, OK, USAGE, act
from .by_playbook import Event, play
from .places import Places, UsageError

__all__ = ["LATE", "NO", "OK", "USAGE", "Progress", "as_json", "change", "ended", "expand", "on_request", "run"]
_PROGRESS = {"site": "checking the site", "observe": "looking at every host", "plan": "planning", "act": "acting",
             "settle": "writing down the outcome", "host": "preparing the hosts"}  # fmt: skip


def change(options: argparse.Namespace, places: Places) -> int:
    """start, stop, restart, open, close, drain, undrain, reconcile, deploy."""
    remote = places.remote
    site = places.site() if remote is None else {}
    extra = _who(options)
    verb = options.verb
    if verb in ("start", "stop", "restart"):
        extra["muster_instances"] = expand(options.instances, site) if remote is None else options.instances
    elif verb in ("open", "close"):
        extra["muster_instances"] = [on_request(options.item, site)]
        if verb == "open":
            # Beside a monitor the socket tells where we are, when nobody says it.
            where = console if remote is None else named_console
            extra["muster_host"] = where(options, os.environ)
            extra["muster_take"] = bool(options.take)
    elif verb in ("drain", "undrain", "host"):
        extra["muster_host"] = options.host
    extra.update(maintenance.asked(options, site))
    if verb == "host":
        verb = options.what.replace("-", "_")
    if remote is not None and not getattr(options, "dry_run", False):
        return act(options, remote, verb, extra)
    if "muster_site" in extra:  # as a variable of a playbook that would be the site's name
        extra["muster_whole_site"] = extra.pop("muster_site")
    code = run(options, places, verb, extra)
    if verb == "deploy" and code == OK and places.state_dir is None:
        with contextlib.suppress(UsageError):
            places.need_state()  # remembers the inventory there, so that later commands need no -i
    return code


def run(options: argparse.Namespace, places: Places, verb: str, extra: Mapping[str, Any]) -> int:
    """Run the playbook, print what it says, and turn its end into an exit code."""
    inventory = places.need_inventory()
    progress = Progress(sys.stderr)
    failed: list[Event] = []
    check = bool(getattr(options, "dry_run", False))
    for event in play(verb, inventory, extra, timeout=options.timeout, check=check):
        if event.kind == "said" and event.text and not event.text.startswith("refuse "):  # its failure says it again
            progress.clear()
            print(event.text, flush=True)
        elif event.kind == "task":
            progress.show(_PROGRESS.get(event.action, event.name))
        elif event.kind in ("failed", "unreachable"):
            failed.append(event)
        elif event.kind == "end":
            progress.clear()
            return ended(event, failed)
    return NO


def ended(end: Event, failed: list[Event]) -> int:
    """Say what went wrong, once, and give the exit code."""
    if failed:
        told = dict.fromkeys(_sentence(event) for event in failed)
        for sentence in told:
            print(sentence, file=sys.stderr)
        return USAGE if any(event.action == "site" for event in failed) else NO
    if end.code:
        words = [line for line in end.text.splitlines() if line.strip()]
        print("\n".join(words[:20]) or "ansible-playbook ended with %d" % end.code, file=sys.stderr)
        return USAGE
    return OK


def expand(names: list[str], site: Mapping[str, Any]) -> list[str]:
    """Instance names, with patterns (`scen2_srv_*`) put in full where the published site is at hand.

    :raises UsageError: when a pattern fits nothing.
    """
    known = instances(site)
    found: list[str] = []
    for name in names:
        if not any(sign in name for sign in "*?["):
            found.append(name)
            continue
        fitting = fnmatch.filter(known, name)
        if not fitting:
            raise UsageError("no instance of the published site fits the pattern %s" % name)
        found += fitting
    return list(dict.fromkeys(found))


def on_request(item: str, site: Mapping[str, Any]) -> str:
    """The instance that shows an item: the one that starts on request; an instance's own name is taken as it is.

    :raises UsageError: when the site has none, or several.
    """
    if not site or item in instances(site):
        return item
    if item not in [entry["id"] for entry in site["items"]]:
        return item  # the plan refuses it, with the nearest name
    names = [
        "%s_%s" % (application["name"], item)
        for application in site["applications"]
        if not application["start_sequence"]
    ]
    if len(names) != 1:
        what = "none" if not names else "several: %s; name one" % ", ".join(names)
        raise UsageError("item %s has no single application that opens on request, but %s" % (item, what))
    return names[0]


def named_console(options: argparse.Namespace, environ: Mapping[str, str]) -> str:
    return str(options.console or environ.get("MUSTER_HOST", ""))


def console(options: argparse.Namespace, environ: Mapping[str, str]) -> str:
    """:raises UsageError: when nobody says on which console."""
    host = named_console(options, environ)
    if not host:
        raise UsageError("on which console? Say --console HOST, or set MUSTER_HOST on each console")
    return host


def instances(site: Mapping[str, Any]) -> list[str]:
    return [
        "%s_%s" % (application["name"], item["id"])
        for application in site.get("applications", [])
        for item in site.get("items", [])
    ]


class Progress:
    """One line on a terminal that says what is going on; nothing elsewhere."""

    def __init__(self, stream: Any, on: bool = True) -> None:
        self._stream = stream
        self._shown = 0
        self._on = on and bool(stream.isatty())

    def show(self, text: str) -> None:
        if self._on:
            self.clear()
            self._stream.write("%s ..." % text)
            self._stream.flush()
            self._shown = len(text) + 4

    def clear(self) -> None:
        if self._on and self._shown:
            self._stream.write("\r%s\r" % (" " * self._shown))
            self._stream.flush()
            self._shown = 0


def _who(options: argparse.Namespace) -> dict[str, Any]:
    extra: dict[str, Any] = {"muster_who": before_sudo() or getpass.getuser()}
    if os.environ.get("MUSTER_HOST"):
        extra["muster_from"] = os.environ["MUSTER_HOST"]
    if getattr(options, "reason", ""):
        extra["muster_why"] = options.reason
    return extra


def _sentence(event: Event) -> str:
    own = event.action in ("site", "plan", "settle", "standby", "status")
    return event.text if own else "%s: %s" % (event.name, event.text)


def as_json(document: Any) -> None:
    print(json.dumps(document, indent=2, sort_keys=False))
