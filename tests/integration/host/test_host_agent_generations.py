# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which configuration an instance runs with, whatever was deployed since."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monitor.core.host.machine import files as machine_files
from tests.integration.host.host_in_a_folder import (  # noqa: F401 - a fixture
    Host,
    host_fixture,
    program,
)

NAMES = ("app_01", "app_02")


def configure(host: Host, word: str) -> dict[str, Any]:
    """The configuration of a deploy: `word` in a file and in a variable of each instance, and as its digest."""
    for name in NAMES:
        host.define(name, [program("bus", 1), program("other", 1)], environment={"WORD": word})
        host.extra_files[name + "/own.conf"] = {"text": word, "mode": "0640"}
    files = host.config_files()
    return {"digest": machine_files.config_digest(files), "files": files, "instances": dict.fromkeys(NAMES, word)}


def current(host: Host, name: str = "app_01") -> tuple[str, str, str]:
    """What its file says, what its program has, what the host says that it runs with."""
    [process] = [p for p in host.processes(name) if p.program == "bus"]
    text = Path(host.root, "etc/current", name, "own.conf").read_text()
    word = Path("/proc/%d/environ" % process.pid).read_bytes().split(b"\0WORD=")[1].partition(b"\0")[0].decode()
    return text, word, host.observe()["instances"][name]["digest"]


def kept(host: Host, name: str = "app_01") -> list[str]:
    return sorted(path.name for path in Path(host.root, "etc/generations", name).iterdir())


def test_a_deploy_changes_nothing_of_what_runs_until_its_turn(host: Host) -> None:
    configure(host, "one")
    host.do("start", "app_01", 1, digest="one", config=configure(host, "one"))
    host.act(config=configure(host, "two"))
    assert current(host) == ("one", "one", "one")
    host.do("restart", "app_01", 2, digest="two", config=configure(host, "two"))
    assert current(host) == ("two", "two", "two")


def test_what_is_not_at_its_turn_comes_up_with_what_it_had(host: Host) -> None:
    """A crash, and a move to this host, of an instance that a rollout has not reached."""
    configure(host, "one")
    host.do("start", "app_01", 1, digest="one", config=configure(host, "one"))
    two = configure(host, "two")
    host.act(config=two)
    host.do("restart", "app_01", 2, digest="one", config=two)
    assert current(host) == ("one", "one", "one")
    host.do("start", "app_02", 1, digest="one", config=two)  # it has never been here
    assert current(host, "app_02") == ("one", "one", "one")


def test_a_program_that_is_repaired_has_the_files_of_the_others(host: Host) -> None:
    configure(host, "one")
    host.do("start", "app_01", 1, digest="one", config=configure(host, "one"))
    two = configure(host, "two")
    host.act(config=two)
    host.do("repair", "app_01", 1, digest="two", only=["other"], config=two)
    assert current(host) == ("one", "one", "one")


def test_the_last_three_are_kept_and_the_one_that_runs(host: Host) -> None:
    configure(host, "one")
    host.do("start", "app_01", 1, digest="one", config=configure(host, "one"))
    for word in ("two", "three", "four", "five"):
        host.act(config=configure(host, word))
    assert "one" in kept(host) and len(kept(host)) <= 3
    host.do("restart", "app_01", 2, digest="four", config=configure(host, "five"))
    assert current(host) == ("four", "four", "four")


def test_what_is_not_here_any_more_gives_way_to_the_newest_and_says_so(host: Host) -> None:
    two = configure(host, "two")
    result = host.do("start", "app_01", 1, digest="one", config=two)
    assert (result["result"], result["digest"]) == ("running", "two")
    assert current(host) == ("two", "two", "two")


def test_nothing_is_kept_of_what_left_the_site(host: Host) -> None:
    configure(host, "one")
    host.do("start", "app_02", 1, digest="one", config=configure(host, "one"))
    two = configure(host, "two")
    host.act(config=two)
    host.act(config={**two, "instances": {"app_01": "two"}})
    assert not Path(host.root, "etc/generations/app_01/one").exists() or kept(host) == ["one"]
    assert current(host, "app_02") == ("one", "one", "one")  # it still runs
    host.do("stop", "app_02", 1, config={**two, "instances": {"app_01": "two"}})
    host.act(config={**two, "instances": {"app_01": "three"}})
    assert not Path(host.root, "etc/generations/app_02").exists()
