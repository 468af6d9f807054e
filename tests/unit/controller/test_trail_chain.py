# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A trail that was changed is found: from an attack on the running demo (C M2), where three deleted entries and a
replaced name showed nowhere."""

from __future__ import annotations

import json
import socket
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from monitor.cli.main import main
from monitor.core.controller import ledger as controller_ledger
from monitor.core.controller import trail_chain
from monitor.core.controller.ledger import Ledger

NOW = 1_700_000_000.5
SITE = "control_room-0123456789ab"


@pytest.fixture(name="ledger")
def ledger_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """Ten entries, in commits of two."""
    monkeypatch.setattr(trail_chain, "SYSTEM_LOG", str(tmp_path / "log"))
    with Ledger(str(tmp_path / "state" / "ledger.db")) as made:
        made.create("control_room", SITE)
        (tmp_path / "state" / "site.json").write_text("{}")
        for number in range(0, 10, 2):
            made.commit(made.read()[1], {}, [said(number), said(number + 1)])
        yield made


def said(number: int) -> dict[str, object]:
    return {"at": NOW + number, "who": "root", "what": "entry %d \u00e9\n" % number, "why": None, "cost": 0.1}


def by_hand(ledger: Ledger, *statements: str) -> None:
    """As somebody with the account of the ledger does it."""
    with sqlite3.connect(ledger.path) as database:
        database.execute("DROP TRIGGER trail_is_append_only")
        for statement in statements:
            database.execute(statement)


def test_what_was_only_appended_to_is_one_chain(ledger: Ledger) -> None:
    found = ledger.verify_trail()
    assert (found.entries, found.unchained, found.first, found.last, found.broken) == (10, 0, 1, 10, "")
    assert found.head == ledger.trail()[-1]["chain"]


@pytest.mark.parametrize(("statement", "broken"), [
    ("DELETE FROM trail WHERE id IN (4, 5)", "2 of the entries between 3 and 6 are missing"),
    ("DELETE FROM trail WHERE id = 7", "1 of the entries between 6 and 8 is missing"),
    ("UPDATE trail SET entry = replace(entry, 'root', 'eve') WHERE id = 6", "entry 6 was changed"),
    ("UPDATE trail SET entry = json_remove(entry, '$.chain') WHERE id = 6", "entry 6 was changed"),
    ("UPDATE trail SET entry = (SELECT entry FROM trail WHERE id = 3) WHERE id = 8", "entry 8 was changed"),
])  # fmt: skip
def test_what_was_changed_is_found(ledger: Ledger, statement: str, broken: str) -> None:
    by_hand(ledger, statement)
    assert ledger.verify_trail().broken.startswith(broken)


def test_what_is_forgotten_in_time_breaks_nothing(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller_ledger, "NEVER_FORGOTTEN", 2)
    ledger.commit(ledger.read()[1], {}, [said(3)])  # by a clock that was set back
    assert ledger.forget_trail(NOW + 5) == 5
    found = ledger.verify_trail()
    assert (found.first, found.last, found.broken) == (6, 11, "")


def test_a_trail_of_an_older_version_goes_on_as_a_chain(ledger: Ledger) -> None:
    by_hand(ledger, "UPDATE trail SET entry = json_remove(entry, '$.chain')")
    ledger.commit(ledger.read()[1], {}, [said(10), said(11)])
    found = ledger.verify_trail()
    assert (found.entries, found.unchained, found.broken) == (12, 10, "")


def test_the_last_link_of_a_commit_goes_to_the_systems_log(ledger: Ledger, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(trail_chain.SYSTEM_LOG)
        log.settimeout(5)
        ledger.commit(ledger.read()[1], {}, [said(10), said(11)])
        line = log.recv(4096).decode()
        ledger.commit(ledger.read()[1], {"wanted": {}})
        log.setblocking(False)
        with pytest.raises(BlockingIOError):
            log.recv(4096)
    assert line.startswith("<86>muster[")
    assert line.endswith("trail of %s: entry 12, chain %s" % (SITE, ledger.verify_trail().head))


def test_the_command_says_it(
    ledger: Ledger, capsys: pytest.CaptureFixture[str], entry: Callable[[int], str]
) -> None:
    state = str(Path(ledger.path).parent)
    assert main(["--state-dir", state, "events", "--verify"]) == 0
    assert "10 entries from 1 to 10 are one chain" in capsys.readouterr().out
    by_hand(ledger, "UPDATE trail SET entry = '%s' WHERE id = 2" % entry(2))
    assert main(["--state-dir", state, "events", "--verify"]) == 1
    assert "the trail was changed: entry 2 was changed" in capsys.readouterr().out


@pytest.fixture(name="entry")
def entry_fixture() -> Callable[[int], str]:
    return lambda number: json.dumps({**said(number), "chain": "0" * 32})
