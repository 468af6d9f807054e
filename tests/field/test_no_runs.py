# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No run can be made: that is known with its reason, until one can.

Sources: those of `test_runs`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from monitor.base.journal import Journal
from monitor.runs import playbooks, trouble
from monitor.runs.pool import Pool
from monitor.runs.runs import Runs
from tests.field.surroundings import place_fixture, settings  # noqa: F401 - a fixture
from tests.integration.monitor import standin_collection as standin
from tests.integration.probes.real_buses import until

WITHIN = 60.0  # s


@contextlib.asynccontextmanager
async def pool(state: Path, inventory: str = "here,") -> AsyncIterator[Pool]:
    (state / "run").mkdir(parents=True, exist_ok=True)
    made = Pool(Runs(state, [inventory]), state / "run", Journal(state / "log"), lambda: None, lambda *_facts: None)
    made.fill()
    try:
        yield made
    finally:
        await made.close(15.0)
        await until(lambda: not standin.processes(str(state)), "every process of the runs gone", WITHIN)


def broken_settings(place: Path) -> Callable[[], None]:
    settings(place, "[defaults]\nnonsense\n")
    return lambda: settings(place, "[defaults]\nforks = 20\n")


def missing_vault_password(place: Path) -> Callable[[], None]:
    settings(place, "[defaults]\nvault_identity_list = prod@.vault_prod\n")
    return lambda: bool((place / ".vault_prod").write_text("word\n"))


def broken_playbook(place: Path) -> Callable[[], None]:
    playbook = playbooks.ROOT / "playbooks" / "standby.yml"
    good = playbook.read_text()
    playbook.write_text("- hosts: [\n")
    return lambda: bool(playbook.write_text(good))


def nobody_to_run_for(place: Path) -> Callable[[], None]:
    """It ends at once, and well."""
    playbook = playbooks.ROOT / "playbooks" / "standby.yml"
    good = playbook.read_text()
    playbook.write_text(good.replace("hosts: all", "hosts: nobody"))
    return lambda: bool(playbook.write_text(good))


def password_that_never_comes(place: Path) -> Callable[[], None]:
    script = place / "password"
    script.write_text("#!/bin/sh\necho Passphrase of the key ring: >&2\nexec sleep 600\n")
    script.chmod(0o755)
    settings(place, "[defaults]\nvault_password_file = password\n")
    return lambda: bool(script.write_text("#!/bin/sh\necho word\n"))


@pytest.mark.parametrize(
    ("spoil", "words", "refused"),
    [
        (broken_settings, "ansible.cfg cannot be read: ", True),
        (missing_vault_password, "ERROR! The vault password file", True),
        (broken_playbook, "ERROR! ", True),
        (nobody_to_run_for, "it ended before it was ready", True),
        (password_that_never_comes, "no run was ready within", False),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_that_no_run_can_be_made_is_known_with_the_reason_until_one_can(
    spoil: Callable[[Path], Callable[[], None]], words: str, refused: bool, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trouble, "LATE", 60.0 if refused else 5.0)
    mend = spoil(place)

    async def scenario() -> None:
        async with pool(place / "state") as one:
            await until(lambda: one.no_runs, "it is known", WITHIN)
            assert one.no_runs is not None and words in one.no_runs["why"]
            assert bool(one.refusal) is refused
            assert words in (place / "state" / "log").read_text()
            mend()
            if one.coming is not None:
                one.coming.dismiss()
            await until(lambda: one.current, "a run is ready", 2 * WITHIN)
            assert (one.no_runs, one.refusal) == (None, "")

    asyncio.run(scenario())


def test_the_words_of_a_run_are_one_printable_line_of_bounded_length() -> None:
    assert trouble.of_ansible("PLAY [x]\n[ERROR]: a \x1b[31m word\u2028\nmore\n") == "ERROR! a [31m word"
    assert trouble.of_ansible('fatal: [server_1]: FAILED! => {"msg": "Missing sudo password"}') == (
        "server_1: Missing sudo password"
    )
    assert len(trouble.of_ansible("ERROR! " + "long " * 1000)) == trouble.LONGEST
