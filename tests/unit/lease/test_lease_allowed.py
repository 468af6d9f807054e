# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the guard tells muster-exec: it is written over in place, and nobody reads half of it."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from monitor.core.host.lease import allowed

FUTURE = 8_000_000_000.0  # s since boot


@pytest.fixture(name="root")
def root_fixture(tmp_path: Path) -> str:
    (tmp_path / "run").mkdir()
    return str(tmp_path)


def test_who_reads_while_it_is_written_gets_the_old_or_the_new(root: str) -> None:
    """Each digit of the session follows from the moment; a mixture of two of them would show others."""
    ending = threading.Event()

    def digit(moment: int) -> str:
        return str(1 + moment % 9)

    def allow(moment: int) -> None:
        allowed.allow(root, float(moment), digit(moment) * 4000 + "-1", 1, ["one"])

    def write() -> None:
        moment = 111111111
        while not ending.is_set():
            moment += 1  # as leases are: the same moment does not come again
            allow(moment)

    allow(111111111)
    before = os.stat(root + "/run/lease").st_ino
    writer = threading.Thread(target=write)
    writer.start()
    try:
        until = time.monotonic() + 0.5
        seen = set()
        while time.monotonic() < until:
            found = allowed._read(root)
            assert found is not None
            seen.add(found.session[0])
            assert found.session == digit(int(found.until)) * 4000 + "-1"
    finally:
        ending.set()
        writer.join()
    assert len(seen) > 1
    assert os.stat(root + "/run/lease").st_ino == before, "written over: to replace a file waits for the disk"


def test_a_lease_is_held_lost_or_waited_for(root: str) -> None:
    assert allowed.observed(root) == {}
    for until, session, held, lost in (
        (0.0, "token-0", False, False), (FUTURE, "token-1", True, False), (0.0, "token-1", False, True),
        (1.0, "token-1", False, False), (0.0, "none", False, False),
    ):  # fmt: skip
        allowed.allow(root, until, session, 1, ["b", "a"])
        told = {"held": held, "lost": lost, "guard": session != "none", "witnesses": ["a", "b"]}
        assert allowed.observed(root) == told


def test_a_claim_names_the_lease_and_waits_for_it(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert allowed.claimed(root, time.monotonic()) == {}
    allowed.allow(root, FUTURE, "token-1", 1)
    assert allowed.claimed(root, time.monotonic()) == {"MUSTER_LEASE": "token-1"}
    allowed.allow(root, 0.0, "token-1", 1)
    monkeypatch.setattr(allowed, "_PATIENCE", 0.05)
    with pytest.raises(ValueError, match="it holds no lease"):
        allowed.claimed(root, time.monotonic() + 1)


def test_what_an_older_guard_or_boot_wrote(root: str) -> None:
    path = Path(root, "run/lease")
    boot = Path("/proc/sys/kernel/random/boot_id").read_text()
    path.write_text("800000000000\ntoken-1\n1\n%sone two\n" % boot)
    assert allowed.observed(root) == {"held": True, "lost": False, "guard": True, "witnesses": ["one", "two"]}
    path.write_text("800000000000\ntoken-1\n1\nanother boot\none two\n800000000000\n")
    assert allowed.observed(root) == {"held": False, "lost": False, "guard": False, "witnesses": ["one", "two"]}
