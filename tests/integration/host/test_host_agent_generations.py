# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which configuration an instance runs with, whatever was deployed since."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from monitor.core.host.machine import files as machine_files
from tests.integration.host.host_in_a_folder import (  # noqa: F401 - a fixture
    Host,
    host_fixture,
    only_systemd,
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


def of_one_application(host: Host, word: str, umask: str, *more: str, limit: str = "") -> dict[str, Any]:
    """The same for two instances of one application: its units, which say the umask, are shared on systemd."""
    programs = [program(name, 1, umask=umask) for name in ("bus", *more)]
    for name in NAMES:
        host.define(name, programs, units="app", environment={"WORD": word}, limits=[limit] if limit else [])
    files = host.config_files()
    return {"digest": machine_files.config_digest(files), "files": files, "instances": dict.fromkeys(NAMES, word)}


def umasks(host: Host, name: str) -> dict[str, str]:
    """Program -> the umask that it runs with."""
    return {program: Path("/proc/%d/status" % pid).read_text().split("Umask:\t")[1].split("\n", 1)[0]
            for program, pid in host.pids(name).items()}  # fmt: skip


def test_how_a_program_runs_is_that_of_its_turn_too(host: Host) -> None:
    one = of_one_application(host, "one", "0022", "gone")
    for name in NAMES:
        assert host.do("start", name, 1, digest="one", config=one)["result"] == "running"
    programs = host.wish("start", "app_02", 2)["programs"]
    two = of_one_application(host, "two", "0077", "new")
    assert host.do("restart", "app_01", 2, digest="two", config=two)["result"] == "running"
    assert umasks(host, "app_01") == {"bus": "0077", "new": "0077"}
    again = host.do("restart", "app_02", 2, digest="one", programs=programs, config=two)  # it crashed before its turn
    assert (again["result"], umasks(host, "app_02")) == ("running", {"bus": "0022", "gone": "0022"})
    host.do("restart", "app_01", 3, digest="one", programs=programs, config=two)  # the way back
    assert umasks(host, "app_01") == {"bus": "0022", "gone": "0022"}
    host.do("stop", "app_02", 2, config=two)
    host.do("start", "app_02", 3, digest="one", programs=programs, config=two)  # it moves away, and back
    assert umasks(host, "app_02") == {"bus": "0022", "gone": "0022"}
    host.do("restart", "app_02", 4, digest="two", config=two)
    assert umasks(host, "app_02") == {"bus": "0077", "new": "0077"}


def test_a_host_without_the_wanted_configuration_starts_the_programs_of_the_newest(host: Host) -> None:
    of_one_application(host, "one", "0022", "gone")
    before = host.wish("start", "app_01", 1)["programs"]
    two = of_one_application(host, "two", "0077", "new")
    newest = {"ports": [], "programs": host.wish("start", "app_01", 1)["programs"]}
    result = host.do("start", "app_01", 1, digest="one", programs=before, otherwise=newest, config=two)
    assert (result["result"], result["digest"]) == ("running", "two")
    assert umasks(host, "app_01") == {"bus": "0077", "new": "0077"}


@only_systemd
def test_what_runs_keeps_its_units_when_systemd_reads_them_again(host: Host) -> None:
    one = of_one_application(host, "one", "0022", limit="MemoryMax=100M")
    for name in NAMES:
        host.do("start", name, 1, digest="one", config=one)
    two = of_one_application(host, "two", "0077", limit="MemoryMax=200M")
    host.do("restart", "app_01", 2, digest="two", config=two)
    assert (limit_of("01"), limit_of("02")) == (200 << 20, 100 << 20)
    assert host.observe()["drift"] == []
    three = of_one_application(host, "three", "0077")
    host.do("restart", "app_01", 3, digest="three", config=three)  # no limit any more
    assert (limit_of("01"), limit_of("02")) == (None, 100 << 20)
    host.do("restart", "app_02", 2, digest="three", config=three)
    assert (limit_of("02"), own_units("02")) == (None, [])
    host.do("restart", "app_02", 3, digest="one", config=three)
    assert limit_of("02") == 100 << 20 and own_units("02")
    host.do("stop", "app_02", 3, config=three)
    assert own_units("02") == []


def limit_of(item: str) -> int | None:
    """Bytes of memory that systemd allows an instance; None: no limit."""
    unit = "muster-app-%s.slice" % item
    done = subprocess.run(["systemctl", "show", unit, "--property", "MemoryMax", "--value"], capture_output=True,
                          text=True, timeout=30, check=True)  # fmt: skip
    said = done.stdout.strip()
    return None if said == "infinity" else int(said)


def own_units(item: str) -> list[str]:
    names = [path.name for path in Path("/run/systemd/system").iterdir() if path.name.startswith("muster-app")]
    return [name for name in names if "@%s." % item in name or "-%s.slice" % item in name]
