# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hooks with real commands: their input, that they cannot delay the monitor, and that they leave no processes."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from monitor.base.journal import Journal
from monitor.core.model.site import Hook
from monitor.judge.verdict_changes import hook_key
from monitor.tell.hooks import COMMANDS_AT_ONCE, Hooks
from tests.integration.probes.real_buses import until

UP, BAD = "operational", "not operational"


class Place:
    """A state folder with scripts, and a journal that can be read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "run").mkdir()
        self.journal = Journal(folder / "journal")

    def script(self, text: str, name: str = "hook") -> str:
        path = self.folder / name
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(0o700)
        return str(path)

    def said(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in (self.folder / "journal").read_text().splitlines()]
        return [line for line in lines if line["event"] == event]

    def told(self) -> list[dict[str, Any]]:
        """The documents that the script "tell" got."""
        path = self.folder / "told"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def tell(self) -> str:
        return self.script('cat >> "%s/told"\n' % self.folder, "tell")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def items(*verdicts: str, cause: str = "its bus crashed") -> list[dict[str, Any]]:
    return [
        {"item": "%02d" % number, "verdict": verdict, "cause": cause if verdict == BAD else ""}
        for number, verdict in enumerate(verdicts, 1)
    ]


def run(place: Place, hooks: list[Hook], work: Callable[[Hooks], Coroutine[Any, Any, None]]) -> None:
    async def all_of_it() -> None:
        made = Hooks(place.folder, place.journal)
        made.follow("scenario_2", hooks)
        try:
            await work(made)
        finally:
            await made.close()

    asyncio.run(all_of_it())


def now() -> float:
    return asyncio.get_running_loop().time()


def processes(mark: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if mark.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def test_a_change_reaches_the_command_as_json_on_standard_input(place: Place) -> None:
    async def work(hooks: Hooks) -> None:
        hooks.verdicts(items(UP, UP), now())
        hooks.verdicts(items(UP, BAD), now())
        await until(place.told, "the hook was told")

    run(place, [Hook((place.tell(),), (BAD,), 0.05)], work)
    [document] = place.told()
    assert {key: document[key] for key in ("site", "item", "verdict", "before", "cause")} == {
        "site": "scenario_2", "item": "02", "verdict": BAD, "before": UP, "cause": "its bus crashed",
    }  # fmt: skip
    assert document["since"] <= document["at"]


def test_arguments_are_a_list_and_no_shell_sees_them(place: Place) -> None:
    script = place.script('printf "%s|" "$@"\n')

    async def work(hooks: Hooks) -> None:
        hooks.verdicts(items(UP), now())
        hooks.verdicts(items(BAD), now())
        await until(lambda: place.said("hook"), "it ran")

    run(place, [Hook((script, "a b", "$(touch x)", ";"), debounce=0)], work)
    assert place.said("hook")[0]["output"] == "a b|$(touch x)|;|"


def test_the_environment_holds_no_secret_and_no_mark_of_ours(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_BECOME_PASSWORD", "very-secret")
    monkeypatch.setenv("MUSTER_INSTANCE", "scen2_srv_01")

    async def work(hooks: Hooks) -> None:
        hooks.verdicts(items(UP), now())
        hooks.verdicts(items(BAD), now())
        await until(lambda: place.said("hook"), "it ran")

    run(place, [Hook(("/usr/bin/env",), debounce=0)], work)
    output = place.said("hook")[0]["output"]
    assert "PATH=" in output
    assert "very-secret" not in output and "MUSTER_" not in output


def test_a_failure_and_a_missing_command_go_to_the_journal(place: Place) -> None:
    script = place.script("echo no route to the mail host >&2; exit 3\n")

    async def work(hooks: Hooks) -> None:
        hooks.verdicts(items(UP), now())
        hooks.verdicts(items(BAD), now())
        await until(lambda: len(place.said("hook failed")) == 2, "both were told")

    run(place, [Hook((script,), debounce=0), Hook(("/nowhere/notify",), debounce=0)], work)
    told = {line["why"]: line.get("output", "") for line in place.said("hook failed")}
    assert told["it ended with 3"] == "no route to the mail host"
    assert any("No such file" in why for why in told)


def test_one_that_hangs_is_killed_with_its_children_and_holds_nothing_up(place: Place) -> None:
    mark = "sleep 98761%d" % os.getpid()  # other test processes may run the same test
    script = place.script("%s & %s\n" % (mark, mark))

    async def work(hooks: Hooks) -> None:
        hooks.verdicts(items(UP), now())
        began = now()
        hooks.verdicts(items(BAD), now())
        assert now() - began < 5.0  # the hook alone would take a day
        await until(lambda: place.said("hook failed"), "its deadline ended it")
        await until(lambda: not processes(mark.partition(" ")[2]), "its children are gone")

    run(place, [Hook((script,), debounce=0, timeout=0.5)], work)
    assert place.said("hook failed")[0]["why"] == "it was killed after 0.5 s, its deadline"


def test_a_child_that_keeps_its_output_open_is_not_waited_for(place: Place) -> None:
    mark = "98762%d" % os.getpid()
    script = place.script("setsid sleep " + mark + " &\necho $! > %s/pid\necho done\n" % place.folder)

    async def work(hooks: Hooks) -> None:
        hooks.verdicts(items(UP), now())
        hooks.verdicts(items(BAD), now())
        await until(lambda: place.said("hook"), "it is over although its child lives")

    try:
        run(place, [Hook((script,), debounce=0, timeout=600)], work)
    finally:
        for pid in processes(mark):
            os.kill(pid, 9)
    assert place.said("hook")[0]["output"] == "done"


def test_it_may_print_without_end_and_read_nothing(place: Place) -> None:
    script = place.script("head -c 3000000 /dev/zero | tr '\\0' x\necho end\n")

    async def work(hooks: Hooks) -> None:
        hooks.verdicts(items(UP), now())
        hooks.verdicts(items(BAD), now())
        await until(lambda: place.said("hook"), "it ended")

    run(place, [Hook((script,), debounce=0)], work)
    output = place.said("hook")[0]["output"]
    assert output.endswith("xend") and len(output) <= 2000


def test_a_few_hooks_run_at_once_and_all_run_in_the_end(place: Place) -> None:
    script = place.script(
        'echo x >> "%(f)s/began"\ncat >> "%(f)s/told"\nwhile [ ! -e "%(f)s/go" ]; do sleep 0.02; done\n'
        % {"f": place.folder}
    )

    async def work(hooks: Hooks) -> None:
        hooks.verdicts(items(*[UP] * 12), now())
        hooks.verdicts(items(*[BAD] * 12), now())
        await until(lambda: len(place.told()) == COMMANDS_AT_ONCE, "as many as may run at once have begun")
        await asyncio.sleep(0.3)
        assert len((place.folder / "began").read_text().split()) == COMMANDS_AT_ONCE
        (place.folder / "go").touch()
        await until(lambda: len(place.said("hook")) == 12, "all of them ran")

    run(place, [Hook((script,), debounce=0)], work)
    assert sorted(document["item"] for document in place.told()) == ["%02d" % number for number in range(1, 13)]


def test_of_one_item_one_runs_at_a_time_and_only_the_newest_waits(place: Place) -> None:
    script = place.script('cat >> "%(f)s/told"\nwhile [ ! -e "%(f)s/go" ]; do sleep 0.02; done\n' % {"f": place.folder})

    async def work(hooks: Hooks) -> None:
        for verdict in (UP, BAD, "degraded", "waiting", UP):
            hooks.verdicts(items(verdict), now())
        await until(lambda: len(place.told()) == 1, "the first one runs")
        (place.folder / "go").touch()
        await until(lambda: len(place.said("hook")) == 2, "the newest one followed")

    run(place, [Hook((script,), debounce=0)], work)
    assert [document["verdict"] for document in place.told()] == [BAD, UP]


def test_changes_while_no_monitor_ran_are_reported_by_the_next(place: Place) -> None:
    hook = Hook((place.tell(),), debounce=0)

    async def first(hooks: Hooks) -> None:
        hooks.verdicts(items(UP, UP), now())

    async def second(hooks: Hooks) -> None:
        hooks.verdicts(items(UP, BAD), now())
        await until(place.told, "the hook was told")

    run(place, [hook], first)
    run(place, [hook], second)
    [document] = place.told()
    assert (document["item"], document["before"], document["verdict"]) == ("02", UP, BAD)


def test_hooks_that_waited_or_were_killed_with_the_monitor_are_run_by_the_next(place: Place) -> None:
    script = place.script(
        'cat >> "%(f)s/told"\nwhile [ ! -e "%(f)s/go" ]; do sleep 0.02; done\n' % {"f": place.folder}
    )
    hook = Hook((script,), debounce=0)

    async def first(hooks: Hooks) -> None:
        hooks.verdicts(items(*[UP] * 6), now())
        hooks.verdicts(items(*[BAD] * 6), now())
        await until(lambda: len(place.told()) == COMMANDS_AT_ONCE, "some were told, and are at work")
        await hooks.close(0.1)

    async def second(hooks: Hooks) -> None:
        hooks.verdicts(items(*[BAD] * 6), now())
        await until(lambda: len(place.said("hook")) == 6, "all of them ran to their end")

    run(place, [hook], first)
    (place.folder / "go").touch()
    (place.folder / "told").unlink()
    run(place, [hook], second)
    assert sorted((d["item"], d["before"], d["verdict"]) for d in place.told()) == [
        ("%02d" % number, UP, BAD) for number in range(1, 7)
    ]


def test_hooks_that_could_not_be_recorded_are_recorded_when_there_is_room(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = Hook((place.tell(),), debounce=0)
    kept = place.folder / "run" / "hooks.json"

    def full(*_unused: Any) -> None:
        raise OSError(28, "No space left on device")

    async def work(hooks: Hooks) -> None:
        with monkeypatch.context() as disk:
            disk.setattr(os, "replace", full)
            hooks.verdicts(items(UP), now())
            hooks.verdicts(items(UP), now())
        assert len(place.said("hook failed")) == 1
        assert not kept.exists()
        hooks.verdicts(items(UP), now())
        assert json.loads(kept.read_text()) == {hook_key(hook): {"01": UP}}

    run(place, [hook], work)


def test_a_hook_that_is_taken_out_of_the_site_runs_no_more(place: Place) -> None:
    async def work(hooks: Hooks) -> None:
        hooks.verdicts(items(UP), now())
        hooks.verdicts(items(BAD), now())
        hooks.follow("scenario_2", [])
        hooks.verdicts(items(BAD), now())
        await asyncio.sleep(0.3)

    run(place, [Hook((place.tell(),), debounce=0.1)], work)
    assert place.told() == []
