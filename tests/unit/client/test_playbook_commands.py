# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What commands say that run a playbook: also where it had no host, or has nothing to say by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from monitor.cli import main, verbs, views
from monitor.cli.by_playbook import Event
from monitor.cli.places import Places
from monitor.core.client import commands

HERE = Places(("inventory/none",), None)
SITE = {"site": "s", "items": 1, "instances": 2, "hosts": ["server_1"], "controller": "c"}


def playing(monkeypatch: pytest.MonkeyPatch, *events: Event) -> None:
    """Let every playbook have these events, and end well."""

    def play(*_given: Any, **_more: Any) -> Iterator[Event]:
        yield from (*events, Event("end"))

    monkeypatch.setattr(verbs, "play", play)
    monkeypatch.setattr(views, "play", play)


@pytest.mark.parametrize("words", ["check", "check --hosts", "plan --deploy"])
def test_an_inventory_without_hosts_is_no_valid_site(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    playing(monkeypatch, Event("nobody"))
    options = main._parsed(words.split())
    assert options.command(options, HERE) == commands.USAGE
    assert capsys.readouterr() == ("", verbs.NOBODY + "\n")


def test_a_valid_site_is_one_line_where_nothing_is_to_be_said_of_exclusion(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    playing(monkeypatch, Event("ok", action="site", result={**SITE, "exclusion": ""}))
    assert views.check(main._parsed(["check"]), HERE) == commands.OK
    assert capsys.readouterr().out == "the site s is valid: 1 items, 2 instances, 1 hosts, controller c\n"


@pytest.mark.parametrize("words", ["rotate-key", "rotate-key --dry-run"])
def test_a_new_key_says_that_it_is_there(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    playing(monkeypatch, Event("ok", action="host"))
    options = main._parsed(words.split())
    assert main._rotate(options, HERE) == commands.OK
    assert capsys.readouterr().out.startswith("every host %s " % ("would get" if options.dry_run else "has"))


@pytest.mark.parametrize("given", ["0", "-5", "1001", "x", ""])
def test_a_number_of_events_is_one_that_can_be_shown(given: str) -> None:
    for verb in (["events"], ["why", "02"]):
        with pytest.raises(SystemExit):
            main._parsed([*verb, "--number", given])
        assert main._parsed([*verb, "-n", "1000"]).number == 1000
