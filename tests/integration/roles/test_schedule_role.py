# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The schedule role, by real playbook runs into folders of the test; what it writes is run as systemd and cron do."""

from __future__ import annotations

import json
import os
import pwd
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.local_site import SiteLab, site_lab, wait_for

pytestmark = pytest.mark.long

NAME = "muster-scenario_2"


@pytest.fixture(scope="module")
def lab() -> Iterator[SiteLab]:
    """A deployed site of one item."""
    with site_lab(61, muster_items=["01"]) as deployed:
        yield deployed


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    for name in ("systemd", "cron"):
        (tmp_path / name).mkdir()
    return tmp_path


def schedule(lab: SiteLab, etc: Path, *arguments: str, **variables: Any) -> Any:
    extra = {
        "schedule_systemd_dir": str(etc / "systemd"), "schedule_cron_dir": str(etc / "cron"),
        "schedule_activate": False, **{"schedule_" + key: value for key, value in variables.items()},
    }  # fmt: skip
    return lab.play("schedule", *arguments, "-e", json.dumps(extra))


def files(etc: Path) -> list[str]:
    return sorted(str(path.relative_to(etc)) for path in etc.rglob("*") if path.is_file())


def test_systemd_takes_its_units(lab: SiteLab, etc: Path) -> None:
    odd = {"ODD": 'a "b" 100% $HOME \\ end', "MUSTER_LOCAL_DIR": str(lab.folder / "m")}
    played = schedule(lab, etc, environment=odd)
    assert played.rc == 0, played.output
    units = [etc / "systemd" / (NAME + end) for end in (".service", ".timer")]
    assert files(etc) == ["systemd/%s.service" % NAME, "systemd/%s.timer" % NAME]
    if shutil.which("systemd-analyze"):
        verified = subprocess.run(
            ["systemd-analyze", "verify", *map(str, units)], capture_output=True, text=True, timeout=60, check=False
        )
        about_ours = [line for line in verified.stderr.splitlines() if NAME in line]
        assert (verified.returncode, about_ours) == (0, []), verified.stderr
    service = units[0].read_text()
    assert "User=%s\n" % pwd.getpwuid(os.stat(lab.state).st_uid).pw_name in service
    assert 'Environment="ODD=a \\"b\\" 100%% $HOME \\\\ end"' in service
    assert "OnUnitInactiveSec=300" in units[1].read_text()


def test_the_command_of_the_service_reconciles_the_site(lab: SiteLab, etc: Path) -> None:
    assert schedule(lab, etc, environment=local(lab)).rc == 0
    service = (etc / "systemd" / (NAME + ".service")).read_text()
    [command] = re.findall(r"^ExecStart=(.*)$", service, re.M)
    env = dict(line.partition("=")[::2] for line in map(unquote, re.findall(r"^Environment=(.*)$", service, re.M)))
    arguments = [unquote(word, "$$") for word in re.findall(r'"(?:[^"\\]|\\.)*"', command)]
    break_it(lab)
    done = subprocess.run(arguments, env={**bare(), **env}, cwd="/", capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert lab.programs("scen2_srv_01")
    assert "schedule" in lab.muster("events", "-n", "20").output


def test_the_command_of_cron_reconciles_the_site(lab: SiteLab, etc: Path) -> None:
    played = schedule(lab, etc, kind="cron", interval=600, environment={**local(lab), "ODD": "it's 100%"})
    assert played.rc == 0, played.output
    [line] = [line for line in (etc / "cron" / NAME).read_text().splitlines() if line.startswith("*")]
    *times, user, command = line.split(None, 6)
    assert times == ["*/10", "*", "*", "*", "*"]
    assert pwd.getpwnam(user).pw_uid == os.stat(lab.state).st_uid
    assert not re.search(r"(?<!\\)%", command), "cron ends the line there"
    text, _, log = command.replace("\\%", "%").partition(" 2>&1 | ")
    assert shlex.split(log) == ["logger", "-t", NAME]
    break_it(lab)
    done = subprocess.run(["/bin/sh", "-c", text], env=bare(), cwd="/", capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert lab.programs("scen2_srv_01")


def test_cron_runs_one_at_a_time(lab: SiteLab, etc: Path) -> None:
    played = schedule(lab, etc, kind="cron", environment={}, command=["/bin/sh", "-c", "echo it runs"])
    assert played.rc == 0, played.output
    command = (etc / "cron" / NAME).read_text().splitlines()[-1].split(None, 6)[6].replace("\\%", "%")
    text = command.partition(" 2>&1 | ")[0]
    ask = ["/bin/sh", "-c", text]
    holder = subprocess.Popen(["flock", str(lab.state), "sh", "-c", "echo held; exec cat"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)  # fmt: skip
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        busy = subprocess.run(ask, env=bare(), capture_output=True, text=True, timeout=60, check=False)
        assert (busy.returncode, busy.stdout) == (0, "")
    finally:
        holder.communicate()
    free = subprocess.run(ask, env=bare(), capture_output=True, text=True, timeout=60, check=False)
    assert (free.returncode, free.stdout) == (0, "it runs\n")


def test_the_second_run_changes_nothing_and_check_mode_tells_the_truth(lab: SiteLab, etc: Path) -> None:
    told = schedule(lab, etc, "--check", "--diff")
    assert told.rc == 0 and told.changed == 1, told.output
    assert "+OnUnitInactiveSec=300" in told.output
    assert files(etc) == []
    assert schedule(lab, etc).changed == 1
    again = schedule(lab, etc)
    assert (again.rc, again.changed) == (0, 0), again.output


def test_the_other_kind_replaces_and_absent_removes(lab: SiteLab, etc: Path) -> None:
    (etc / "cron" / "somebody-elses").write_text("# not ours\n")
    assert schedule(lab, etc).rc == 0
    assert schedule(lab, etc, kind="cron").rc == 0
    assert files(etc) == ["cron/" + NAME, "cron/somebody-elses"]
    checked = schedule(lab, etc, "--check", state="absent")
    assert checked.changed == 1 and files(etc) == ["cron/" + NAME, "cron/somebody-elses"]
    assert schedule(lab, etc, state="absent").rc == 0
    assert files(etc) == ["cron/somebody-elses"]
    assert schedule(lab, etc, state="absent").changed == 0


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"kind": "cron", "interval": 90}, "whole minutes that divide an hour"),
        ({"interval": 5}, "10 or more seconds"),
        ({"kind": "at"}, "schedule_kind must be one of: systemd, cron"),
    ],
)
def test_invalid_options_are_refused(lab: SiteLab, etc: Path, variables: dict[str, Any], says: str) -> None:
    played = schedule(lab, etc, **variables)
    assert played.rc != 0
    assert says in " ".join(played.output.split())
    assert files(etc) == []


def local(lab: SiteLab) -> dict[str, str]:
    """The variables that the inventory of the lab needs to describe the same site again."""
    return {"MUSTER_LOCAL_DIR": str(lab.folder / "m"), "MUSTER_LOCAL_NET": lab.net,
            "ANSIBLE_HOME": str(lab.folder / "ansible")}  # fmt: skip


def bare() -> dict[str, str]:
    """The environment of a job of cron or systemd."""
    user = pwd.getpwuid(os.getuid())
    return {"HOME": user.pw_dir, "LOGNAME": user.pw_name, "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"}


def break_it(lab: SiteLab) -> None:
    """Stop a program outside muster, so that a reconcile has something to repair."""
    wait_for(lambda: lab.programs("scen2_srv_01"), "the services run")
    [host] = lab.hosts_of("scen2_srv_01")
    stopped = lab.supervisorctl(host, "stop", "scen2_srv_01:*")
    assert stopped.rc == 0, stopped.output
    wait_for(lambda: not lab.programs("scen2_srv_01"), "the services are gone")


def unquote(word: str, dollar: str = "$") -> str:
    """A quoted word of a unit file as systemd reads it."""
    text = re.sub(r"\\(.)", r"\1", word.strip()[1:-1])
    return text.replace("%%", "%").replace(dollar, "$")
