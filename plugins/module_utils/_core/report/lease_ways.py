# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a trial of the ways between hosts, witnesses and controller found, in sentences."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Sequence, Tuple

from ..model.sentences import listing

NAMED = 20  # hosts in one sentence
ANSWERING = ("listens", "answers")  # what a witness says that can be asked: see `host.lease.ways`


class Found(NamedTuple):
    """What a trial found."""

    problems: Tuple[str, ...]  # with any of them nothing may be changed
    hints: Tuple[str, ...]
    proven: Tuple[str, ...]  # hosts whose ways are known to be open, to every witness


def tried(listening: Mapping[str, Mapping[str, Any]]) -> List[str]:
    """The witnesses that can be asked."""
    return [name for name, answer in listening.items() if answer.get("port") in ANSWERING]


def judge(
    witnesses: Sequence[Tuple[str, str, int]], listening: Mapping[str, Mapping[str, Any]],
    asked: Mapping[str, Mapping[str, Any]], unheard: Sequence[str], leased: bool,
) -> Found:  # fmt: skip
    """
    :param witnesses: (name, address, port) of each.
    :param listening: witness -> what it said when it was to listen; without those that were not reached.
    :param asked: host -> what it found; without those that were not reached.
    :param unheard: witnesses that did not answer the controller.
    :param leased: whether the site has leases already, so that a way may be closed by a fault of today.
    """
    problems: List[str] = []
    hints: List[str] = []
    can = tried(listening)
    for name, answer in {**listening, **asked}.items():
        if answer.get("port") == "taken":
            problems.append("%s: %s: end what uses it, or write another muster_settings.lease_port" % (
                name, answer.get("why")))  # fmt: skip
    silent: Dict[str, List[str]] = {}
    for host, answer in asked.items():
        missing = [name for name in answer.get("silent") or () if name in can]
        # A host that holds a lease by most of the witnesses loses nothing when one of them stays away.
        enough = answer.get("port") == "ours" and len(missing) <= (len(witnesses) - 1) // 2
        for name in missing:
            if enough:
                hints.append("%s gets no answer from the witness %s, and holds its lease without it" % (host, name))
            else:
                silent.setdefault(name, []).append(host)
    most = (len(witnesses) - 1) // 2
    for name, address, port in witnesses:
        if name in silent:
            problems.append(
                "%s no answer from the witness %s: let UDP pass between port %d of each host and port %d of %s,"
                " both ways" % (_who_gets(silent[name], len(asked)), name, port, port, address)
            )
        if name in unheard:
            says = ("the controller gets no answer from the witness %s: let UDP pass from any port of the controller"
                    " to port %d of %s, and back" % (name, port, address))  # fmt: skip
            (hints if leased and len(unheard) <= most else problems).append(says)
    untried = [name for name, _address, _port in witnesses if name not in can]
    if untried and not problems:
        hints.append("the ways to %s were not tried, as nothing can listen there now" % listing(untried))
    at_fault = {host for hosts in silent.values() for host in hosts}
    proven = [host for host, answer in asked.items() if not (untried or host in at_fault or answer.get("silent"))]
    return Found(tuple(problems), tuple(hints), tuple(proven))


def _who_gets(hosts: Sequence[str], of: int) -> str:
    if len(hosts) == of > 1:
        return "each of the %d hosts gets" % of
    return "%s get%s" % (listing(hosts, NAMED), "s" if len(hosts) == 1 else "")


def refusal(found: Found) -> str:
    """Why nothing is changed, and what to do."""
    return (
        "datagrams of leases do not travel as this site needs them, and nothing was changed:\n- %s\nOpen these ways, or"
        " write muster_settings.exclusion: none, with which a cut may show two copies of an instance"
        % "\n- ".join(found.problems)
    )
