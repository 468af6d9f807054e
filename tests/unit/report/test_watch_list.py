# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watch list as a function of site and ledger, and its publishing: whole files, newest only, one writer."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from monitor.core.controller import publish as controller_publish
from monitor.core.model import site as site_model
from monitor.core.report import watch_list
from monitor.judge import watch_list as monitor_watch
from tests.small_site import SITE_ID, running, small_site, small_state

ROOT = Path(__file__).resolve().parents[3]


class TestTheWatchList:
    def test_a_rollout_goes_on_when_it_is_due_or_the_run_at_work_on_its_batch_is_over(self) -> None:
        batches = [["scen2_srv_01", "scen2_srv_02"], ["scen2_srv_03"]]
        record = {"state": "running", "batches": batches, "at": 0, "due": 100.0, "carrier": "b.1/7/8"}
        at_work = running("server_1", phase="starting", actor={"run": "7", "deadline": 180.0})
        for claims, due in (({}, 100.0), ({"scen2_srv_02": at_work}, 180.0), ({"scen2_srv_03": at_work}, 100.0)):
            state = small_state(claims=claims, rollouts={"current": record})
            assert watch_list.watch_document(small_site(), state, 1)["rollout"] == {"due": due, "carrier": "b.1/7/8"}
        for other in ({**record, "state": "stopped"}, {**record, "batches": batches[:1]}):
            state = small_state(rollouts={"current": other})
            assert "rollout" not in watch_list.watch_document(small_site(), state, 1)

    def test_says_where_an_instance_is_and_how_its_bus_is_asked(self) -> None:
        state = small_state(claims={"scen2_srv_02": running("server_3", 7)})
        document = watch_list.watch_document(small_site(), state, 17)
        assert (document["schema"], document["revision"], document["site_id"]) == (1, 17, SITE_ID)
        watched = document["instances"]["scen2_srv_02"]
        assert (watched["host"], watched["address"], watched["epoch"]) == ("server_3", "127.60.1.13", 7)
        assert (watched["item"], watched["application"], watched["phase"]) == ("02", "scen2_srv", "running")
        assert watched["bus"] == {
            "program": "internal_data_bus",
            "port": 20008,
            "strategy": "restart_application",
            "probe": {"type": "nats", "port": "client", "interval": 1.0, "timeout": 1.0, "failures": 3},
        }

    def test_names_the_service_that_a_deferred_gate_waits_for(self) -> None:
        deferred = ["check_common_data_bus", "common_bus_interface"]
        state = small_state(
            claims={"scen2_srv_01": running("server_1", deferred=deferred), "scen2_srv_02": running("server_1")}
        )
        instances = watch_list.watch_document(small_site(), state, 2)["instances"]
        assert (instances["scen2_srv_01"]["deferred"], instances["scen2_srv_01"]["waits_for"]) == (
            deferred,
            "common_data_bus",
        )
        assert instances["scen2_srv_02"]["waits_for"] == ""

    def test_has_the_endpoints_of_the_common_bus(self) -> None:
        services = watch_list.watch_document(small_site(), small_state(), 1)["services"]
        assert sorted(services["common_data_bus"]) == ["server_1", "server_2", "server_3"]
        first = services["common_data_bus"]["server_1"]
        assert (first["address"], first["port"], first["label"]) == ("127.60.1.11", 19000, "the common bus")

    def test_leaves_free_claims_out_and_keeps_failed_ones(self) -> None:
        claims = {
            "scen2_srv_01": running("server_1", phase="free"),
            "scen2_srv_02": running("server_1", phase="failed", reason="data_processing exited 3"),
        }
        instances = watch_list.watch_document(small_site(), small_state(claims=claims), 1)["instances"]
        assert list(instances) == ["scen2_srv_02"]
        assert instances["scen2_srv_02"]["reason"] == "data_processing exited 3"

    def test_of_an_instance_that_left_the_site_has_no_bus(self) -> None:
        claims = {"scen2_srv_09": running("server_1")}
        watched = watch_list.watch_document(small_site(), small_state(claims=claims), 1)["instances"]["scen2_srv_09"]
        assert watched["bus"] is None and watched["host"] == "server_1"

    def test_knows_every_host_and_takes_an_unheard_of_one_for_up(self) -> None:
        state = small_state(hosts={"server_2": {"state": "down", "evidence": "two signals"}})
        hosts = watch_list.watch_document(small_site(), state, 1)["hosts"]
        assert {name: record["state"] for name, record in hosts.items()} == {
            "server_1": "up", "server_2": "down", "server_3": "up", "console_1": "up", "console_2": "up"
        }  # fmt: skip

    def test_is_the_same_bytes_for_the_same_site_and_ledger(self) -> None:
        claims = {"scen2_srv_%02d" % n: running("server_1", n) for n in range(1, 4)}
        shuffled = list(claims.items())
        random.Random(7).shuffle(shuffled)
        first = watch_list.watch_document(small_site(), small_state(claims=claims), 5)
        second = watch_list.watch_document(small_site(), small_state(claims=dict(shuffled)), 5)
        assert json.dumps(first) == json.dumps(second)

    def test_is_what_the_monitor_reads(self) -> None:
        actor = {"run": "4", "deadline": 1060.0}
        claims = {
            "scen2_srv_01": running("server_1", 7, deferred=["check_common_data_bus"]),
            "scen2_hci_01": running("console_2", 3, phase="starting", actor=actor),
        }
        state = small_state(claims=claims, wanted={"scen2_srv_01": {"state": "started"}})
        watch = monitor_watch.parse(json.loads(json.dumps(watch_list.watch_document(small_site(), state, 12))))
        assert watch.revision == 12 and watch.site_id == SITE_ID
        services = watch.instances["scen2_srv_01"]
        assert services.target is not None
        assert (services.target.address, services.target.port) == ("127.60.1.11", 20004)
        assert (services.waits_for, services.strategy) == ("common_data_bus", "restart_application")
        window = watch.instances["scen2_hci_01"]
        assert (window.strategy, window.deadline, window.phase) == ("stop_application", 1060.0, "starting")
        assert watch.services[("common_data_bus", "server_2")].target.port == 19000


class TestPublishing:
    def test_writes_site_and_watch_list(self, tmp_path: Path) -> None:
        site = small_site(str(tmp_path))
        assert publish(site, small_state(), 3, {"scen2_srv_01": "abc"}, {"server_1": "def"})
        published = read(tmp_path, "site.json")
        assert site_model.site_from_json(published["site"]) == site
        assert (published["site_id"], published["digests"]) == (SITE_ID, {"scen2_srv_01": "abc"})
        assert read(tmp_path, "watch.json")["revision"] == 3
        assert sorted(os.listdir(tmp_path)) == ["publish.lock", "site.json", "watch.json"]

    def test_twice_writes_once(self, tmp_path: Path) -> None:
        site = small_site(str(tmp_path))
        assert publish(site, small_state(), 3)
        before = [(tmp_path / name).stat().st_ino for name in ("site.json", "watch.json")]
        assert not publish(site, small_state(), 3)
        assert before == [(tmp_path / name).stat().st_ino for name in ("site.json", "watch.json")]

    def test_never_replaces_a_newer_one(self, tmp_path: Path) -> None:
        publish(small_site(str(tmp_path)), small_state(), 9)
        assert not publish(small_site(str(tmp_path), items=5), small_state(), 8)
        assert read(tmp_path, "watch.json")["revision"] == 9
        assert len(read(tmp_path, "site.json")["site"]["items"]) == 3

    def test_replaces_another_site_s_and_a_half_written_one(self, tmp_path: Path) -> None:
        site = small_site(str(tmp_path))
        publish(site, small_state(meta={"site_id": "another"}), 900)
        assert publish(site, small_state(), 2)
        whole = (tmp_path / "watch.json").read_bytes()
        (tmp_path / "watch.json").write_bytes(whole[: len(whole) // 2])
        assert publish(site, small_state(), 2)
        assert (tmp_path / "watch.json").read_bytes() == whole

    def test_of_a_run_with_an_old_site_keeps_the_site_the_ledger_names(self, tmp_path: Path) -> None:
        """A run that began before a deploy ends after it: its claims are published, its idea of the site is not."""
        old, new = small_site(str(tmp_path)), small_site(str(tmp_path), items=5)
        mark = controller_publish.site_mark(site_model.site_to_json(new), {})
        publish(new, small_state(meta={"site_mark": mark}), 5)
        claims = {"scen2_srv_05": running("server_2", 4)}
        assert publish(old, small_state(meta={"site_mark": mark}, claims=claims), 6)
        assert len(read(tmp_path, "site.json")["site"]["items"]) == 5
        assert read(tmp_path, "watch.json")["instances"]["scen2_srv_05"]["bus"]["port"] == 20020

    def test_by_many_at_once_ends_with_the_newest(self, tmp_path: Path) -> None:
        site = small_site(str(tmp_path))
        revisions = list(range(1, 41))
        random.Random(3).shuffle(revisions)
        stop = threading.Event()
        seen: list[int] = []

        def look() -> None:
            while not stop.is_set():
                if (tmp_path / "watch.json").exists():
                    seen.append(read(tmp_path, "watch.json")["revision"])

        looker = threading.Thread(target=look)
        looker.start()
        writers = [
            threading.Thread(
                target=lambda part: [publish(site, small_state(), r) for r in part], args=(revisions[n::4],)
            )
            for n in range(4)
        ]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join(60)
        stop.set()
        looker.join(60)
        assert read(tmp_path, "watch.json")["revision"] == 40
        assert seen == sorted(seen)

    @pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
    def test_on_a_full_disk_leaves_the_old_files_and_says_so(self, tmp_path: Path) -> None:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "none", str(tmp_path)], check=True)
        try:
            site = small_site(str(tmp_path))
            publish(site, small_state(), 1)
            (tmp_path / "filler").write_bytes(b"x" * 80000)
            before = [(tmp_path / name).read_bytes() for name in ("site.json", "watch.json")]
            claims = {"scen2_srv_%03d" % n: running("server_1", reason="because " * 20) for n in range(300)}
            words = "revision 2 is in the ledger but could not be published"
            with pytest.raises(controller_publish.PublishError, match=words):
                publish(site, small_state(claims=claims), 2)
            assert before == [(tmp_path / name).read_bytes() for name in ("site.json", "watch.json")]
            assert sorted(os.listdir(tmp_path)) == ["filler", "publish.lock", "site.json", "watch.json"]
        finally:
            subprocess.run(["umount", str(tmp_path)], check=True)

    def test_waits_for_another_publisher_and_not_for_a_dead_one(self, tmp_path: Path) -> None:
        site = small_site(str(tmp_path))
        text = (
            "import fcntl, os, sys, time; handle = os.open(sys.argv[1], os.O_CREAT | os.O_RDWR)\n"
            "fcntl.flock(handle, fcntl.LOCK_EX); print('held', flush=True); time.sleep(60)\n"
        )
        holder = subprocess.Popen(
            [sys.executable, "-c", text, str(tmp_path / "publish.lock")], stdout=subprocess.PIPE, text=True
        )
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        done: list[bool] = []
        publisher = threading.Thread(target=lambda: done.append(publish(site, small_state(), 1)))
        publisher.start()
        publisher.join(0.2)
        assert not done
        holder.kill()
        holder.communicate()
        publisher.join(10)
        assert done == [True]


def publish(site: site_model.Site, state: dict[str, Any], revision: int, *digests: dict[str, str]) -> bool:
    return controller_publish.publish(site.state_dir, site_model.site_to_json(site), state, revision, *digests)


def read(folder: Path, name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / name).read_text())
    return document
