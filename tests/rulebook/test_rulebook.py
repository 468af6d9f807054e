# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The example rulebook in the real `ansible-rulebook`, beside a real monitor's API: each alarm once, also after a gap.

`make rulebook` runs it, in an environment of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from monitor.core.controller.past import Past
from tests.integration.monitor.served_monitor import Told, folder, monitor, web_here  # noqa: F401
from tests.integration.probes.real_buses import until
from tests.leftovers import own

ROOT = Path(__file__).resolve().parents[2]
RULEBOOK = "control_room.muster.alarms"
PLACE = ROOT / ".cache/rulebook"
REQUIREMENTS = ROOT / "requirements/rulebook.txt"
SECONDS = 120.0  # for Java to start on a busy machine

pytestmark = pytest.mark.skipif(shutil.which("java") is None, reason="ansible-rulebook needs Java 17 or newer")


@pytest.fixture(name="programs", scope="module")
def programs_fixture() -> Path:
    """The folder with `ansible-rulebook`, in an environment that stays for the next time."""
    made = PLACE / "made"
    if not made.exists() or made.read_text() != REQUIREMENTS.read_text():
        shutil.rmtree(PLACE, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", PLACE], check=True)
        subprocess.run([PLACE / "bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check",
                        "--require-hashes", "-r", REQUIREMENTS], check=True)  # fmt: skip
        made.write_text(REQUIREMENTS.read_text())
    return PLACE / "bin"


@pytest.fixture(name="collections", scope="module")
def collections_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection, built and installed as a user does it."""
    place = tmp_path_factory.mktemp("collections")
    own(place)
    galaxy = str(ROOT / ".venv/bin/ansible-galaxy")
    subprocess.run([ROOT / ".venv/bin/python", "-m", "tests.release.pack", str(place)], cwd=ROOT, check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    [archive] = place.glob("*.tar.gz")
    subprocess.run([galaxy, "collection", "install", "--offline", "--no-deps", "-p", str(place), str(archive)],
                   cwd=place, check=True, stdout=subprocess.DEVNULL)  # fmt: skip
    return place


def happened(state_dir: Path, kind: str, why: str, priority: str = "high", after: str = "unacknowledged") -> None:
    with Past(str(state_dir), write=True) as store:
        store.remember({}, [
            {"at": time.time(), "what": "alarm", "subject": "%s:x" % kind, "kind": kind, "priority": priority,
             "before": "", "after": after, "why": why, "lasted": 0.0}
        ])  # fmt: skip


class Rulebook:
    """What one `ansible-rulebook` has printed."""

    def __init__(self) -> None:
        self.text = ""

    def said(self, words: str) -> int:
        return self.text.count(words)


@contextlib.asynccontextmanager
async def rulebook(programs: Path, collections: Path, state_dir: Path, last: Path) -> AsyncIterator[Rulebook]:
    """The example rulebook at work, as its own process. It ends as a service manager ends it."""
    environment = {**os.environ, "PATH": "%s:%s" % (programs, os.environ["PATH"]),
                   "ANSIBLE_COLLECTIONS_PATH": str(collections), "PYTHONUNBUFFERED": "1"}  # fmt: skip
    inventory = last.with_name("inventory.yml")
    inventory.write_text("all:\n  hosts:\n    localhost:\n      ansible_connection: local\n")
    variables = last.with_name("vars.yml")
    variables.write_text("muster_socket: %s\nmuster_last: %s\n" % (state_dir / "run/api.sock", last))
    process = await asyncio.create_subprocess_exec(
        str(programs / "ansible-rulebook"), "--rulebook", RULEBOOK, "--inventory", str(inventory), "--vars",
        str(variables), env=environment, cwd=last.parent, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    shown = Rulebook()

    async def read() -> None:
        assert process.stdout is not None
        while part := await process.stdout.read(65536):
            shown.text += part.decode("utf-8", "replace")

    reading = asyncio.create_task(read())
    try:
        yield shown
    except AssertionError as error:
        raise AssertionError("%s\nansible-rulebook says:\n%s" % (error, shown.text)) from error
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 30)
        except TimeoutError:
            process.kill()
            await process.wait()
        await reading


def test_the_example_rulebook_hears_of_each_alarm_once_and_goes_on_after_a_gap(
    folder: Path, tmp_path: Path, programs: Path, collections: Path
) -> None:
    last = tmp_path / "last"

    async def scenario() -> None:
        async with monitor(folder, Told(), web_here):
            async with rulebook(programs, collections, folder, last) as first:
                await until(last.exists, "it knows where it is", SECONDS)
                happened(folder, "host", "server_2 is down")
                happened(folder, "item", "item 02 has no host")
                happened(folder, "item", "not of high priority", priority="low")
                happened(folder, "host", "it was seen by a person", after="acknowledged")
                await until(lambda: first.said("Ticket: server_2 is down"), "a ticket", SECONDS)
                await until(lambda: first.said("Tell the shift: item 02 has no host"), "the shift hears of it", SECONDS)
            happened(folder, "bus", "while nobody listened")
            async with rulebook(programs, collections, folder, last) as second:
                await until(lambda: second.said("Tell the shift: while nobody listened"), "it goes on", SECONDS)
                happened(folder, "host", "server_3 is down")
                await until(lambda: second.said("Ticket: server_3 is down"), "another one", SECONDS)
            assert not first.said("not of high priority") and not first.said("it was seen by a person")
            assert not second.said("server_2 is down") and not second.said("item 02")

    asyncio.run(scenario())
