# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A state folder in trouble, and what a status says, on a real ledger and state folder."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.controller.data_hosts import ASKED, CONFIG, DIGESTS, HOSTS, Room, acts


class TestATroubledStateFolder:
    def test_without_a_ledger_says_deploy_first(self, room: Room) -> None:
        for verb in ("open_site", "status", "trail"):
            assert "deploy this site first" in room.error(verb)
        assert not os.path.exists(room.site.state_dir)

    def test_of_another_site_is_refused(self, room: Room, tmp_path: Path) -> None:
        room.open()
        room.document["name"] = "scenario_3"
        assert "belongs to the site scenario_2 and this inventory describes scenario_3" in room.error("open_site")

    def test_with_a_new_ledger_beside_marked_hosts_plans_nothing(self, room: Room, tmp_path: Path) -> None:
        room.open()
        room.run("deploy")
        for path in Path(room.site.state_dir).glob("ledger.db*"):
            path.unlink()
        room.ask("open_site", create=True)
        asked = {"kind": "reconcile", "instances": []}
        words = room.error("plan", digests=DIGESTS, config_digests=CONFIG, observations=room.observe(), request=asked)
        assert "belongs to the site scenario_2-" in words and "lost" in words
        assert room.ledger()[0]["claims"] == {}

    @pytest.mark.parametrize(
        ("harm", "words"),
        [
            (lambda path: path.write_bytes(b"x" * 9000), "is damaged"),
            (lambda path: sqlite3.connect(path).execute("PRAGMA user_version = 9"), "written by a newer muster"),
        ],
        ids=["damaged", "newer"],
    )
    def test_with_a_ledger_it_cannot_use_changes_nothing(
        self, room: Room, harm: Callable[[Path], Any], words: str
    ) -> None:
        room.open()
        room.run("deploy")
        path = Path(room.site.state_dir) / "ledger.db"
        harm(path)
        before = path.read_bytes()
        asked = {"kind": "reconcile", "instances": []}
        for verb in ("open_site", "plan", "status"):
            assert words in room.error(verb, digests=DIGESTS, observations=room.observe(), request=asked)
        assert path.read_bytes() == before

    def test_restored_from_its_backup_goes_on_with_higher_epochs(self, room: Room) -> None:
        """The backup is older than the last restart: the hosts know higher epochs, and the next run exceeds them."""
        room.open()
        room.run("deploy")
        folder = Path(room.site.state_dir)
        backup = sorted((folder / "backup").iterdir())[-1].read_bytes()
        room.run("restart", instances=["scen2_srv_02"])
        room.run("restart", instances=["scen2_srv_02"])
        for end in ("-wal", "-shm"):
            (folder / ("ledger.db" + end)).unlink(missing_ok=True)
        (folder / "ledger.db").write_bytes(backup)
        known = max(copy["epoch"] for host in room.hosts.values() for copy in host["instances"].values())
        published = room.published("watch.json")["revision"]
        room.run()
        room.run()
        assert room.run()["requests"] == {}
        assert room.published("watch.json")["revision"] == room.ledger()[1] > published
        assert any("the ledger was put back to revision" in entry["what"] for entry in room.ask("trail")["trail"])
        alive = [(n, host) for host in room.hosts for n in room.hosts[host]["instances"]]
        assert sorted(n for n, _ in alive) == ["scen2_srv_01", "scen2_srv_02", "scen2_srv_03"]
        assert room.claim("scen2_srv_02")["epoch"] >= known

    def test_with_a_lost_or_half_written_watch_list_heals(self, room: Room) -> None:
        room.open()
        room.run("deploy")
        folder = Path(room.site.state_dir)
        whole = room.published("watch.json")
        (folder / "watch.json").write_text((folder / "watch.json").read_text()[:100])
        (folder / "site.json").unlink()
        room.run()
        assert room.published("watch.json") == whole
        assert len(room.published("site.json")["digests"]) == len(DIGESTS)

    def test_that_cannot_be_published_to_is_a_warning_because_the_commit_stands(self, room: Room) -> None:
        room.open()
        room.run("deploy")
        (Path(room.site.state_dir) / "watch.json").unlink()
        (Path(room.site.state_dir) / "watch.json").mkdir()
        planned = room.plan("restart", instances=["scen2_srv_02"])
        (warning,) = planned["warnings"]
        assert "revision %d is in the ledger but could not be published" % planned["revision"] in warning
        assert room.claim("scen2_srv_02")["phase"] == "starting"
        (Path(room.site.state_dir) / "watch.json").rmdir()
        answers = room.act(planned["requests"])
        assert room.ask("settle", plan=planned["plan"], answers=answers)["warnings"] == []
        assert room.published("watch.json")["instances"]["scen2_srv_02"]["phase"] == "running"

    @pytest.mark.skipif(os.geteuid() != 0, reason="giving a folder away needs root")
    def test_of_another_owner_is_left_alone(self, room: Room) -> None:
        room.open()
        os.chown(room.site.state_dir, 1, 1)
        for verb in ("open_site", "status", "trail"):
            assert ": run this as " in room.error(verb, create=True)

    @pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
    def test_on_a_full_disk_says_so_and_the_next_run_goes_on(self, tmp_path: Path) -> None:
        disk = tmp_path / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=900k", "none", str(disk)], check=True)
        try:
            room = Room(disk, items=40)
            room.open()
            with (disk / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
                while True:
                    filler.write(b"x" * 4096)
            asked = {"kind": "deploy", "instances": []}
            words = room.error(
                "plan", digests=DIGESTS, config_digests=CONFIG, observations=room.observe(), request=asked
            )
            assert "nothing was changed" in words and "kB are free" in words
            (disk / "filler").unlink()
            room.run("deploy")
            assert len(room.published("watch.json")["instances"]) > 0
        finally:
            subprocess.run(["umount", str(disk)], check=True)


class TestStatus:
    def test_shows_items_hosts_and_where_things_run(self, room: Room) -> None:
        room.open()
        room.run("deploy")
        answer = room.ask("status", observations=room.observe())
        status = answer["status"]
        assert [entry["item"] for entry in status["items"]] == ["01", "02", "03"]
        assert {entry["verdict"] for entry in status["items"]} == {"operational"}
        assert sorted(entry["host"] for entry in status["hosts"]) == sorted(HOSTS)
        assert "operational" in answer["table"] and "server_3" in answer["table"]

    def test_without_asking_hosts_uses_what_they_said_last(self, room: Room) -> None:
        room.open()
        room.run("deploy")
        room.plan()
        status = room.ask("status")["status"]
        assert all(entry["answer"] == "seen" and entry["at"] for entry in status["hosts"])

    def test_does_not_take_an_old_look_for_a_failure_of_what_was_started_since(self, room: Room) -> None:
        room.open()
        room.run("deploy")
        room.run("restart", instances=["scen2_srv_02"])
        status = room.ask("status")["status"]
        assert status["counts"] == {"operational": 3}, [entry["cause"] for entry in status["items"]]
        copy = status["instances"]["scen2_srv_02"]
        assert (copy["epoch"], copy["state"]) == (2, "running")

    def test_remembers_what_it_was_shown(self, room: Room) -> None:
        room.open()
        room.run("deploy")
        room.plan()
        host = room.claim("scen2_srv_02")["host"]
        del room.hosts[host]["instances"]["scen2_srv_02"]["programs"]["data_processing"]
        room.ask("status", observations=room.observe())
        found = next(entry for entry in room.ask("status")["status"]["items"] if entry["item"] == "02")
        assert found["verdict"] == "not operational" and "data_processing" in found["cause"]

    def test_that_looked_before_a_restart_is_no_reason_for_another_one(self, room: Room) -> None:
        """Its observation is older than the restart, and is recorded with that time."""
        room.open()
        room.run("deploy")
        opened = room.ask("open_site")
        stale = room.observe()
        room.run("restart", instances=["scen2_srv_02"])
        room.ask("status", observations=stale, observed_revision=opened["revision"])
        planned = room.ask("plan", digests=DIGESTS, config_digests=CONFIG, request=ASKED, check=True)
        assert [a for a in acts(planned) if a[1]] == []

    def test_a_stray_copy_that_was_stopped_is_not_remembered(self, room: Room) -> None:
        """Nothing in the ledger says that a copy without a claim is gone; what plans unseen would stop it again."""
        room.open()
        room.run("deploy")
        holder = room.claim("scen2_srv_01")["host"]
        other = next(name for name in ("server_1", "server_2") if name != holder)
        room.hosts[other]["instances"]["scen2_srv_01"] = dict(room.hosts[holder]["instances"]["scen2_srv_01"], claim=0)
        stopped = room.run()
        assert ("stop", "scen2_srv_01") in [act[:2] for act in acts(stopped)]
        planned = room.ask("plan", digests=DIGESTS, config_digests=CONFIG, request=ASKED, check=True)
        assert [act for act in acts(planned) if act[1]] == []

    def test_takes_the_bus_from_the_monitor_s_own_file(self, room: Room) -> None:
        room.open()
        room.run("deploy")
        (Path(room.site.state_dir) / "run").mkdir()
        buses = {"scen2_srv_03": {"epoch": 1, "state": "unhealthy", "why": "3 round trips missed"}}
        written = {"schema": 1, "state": "running", "at": time.time(), "buses": buses}
        (Path(room.site.state_dir) / "run" / "monitor.json").write_text(json.dumps(written))
        answer = room.ask("status", observations=room.observe())
        assert [entry["verdict"] for entry in answer["status"]["items"]] == [
            "operational",
            "operational",
            "not operational",
        ]
        assert "monitor: running" in answer["table"]
