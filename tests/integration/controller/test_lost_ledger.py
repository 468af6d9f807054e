# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger is lost, and a new one is made of a backup and of what the hosts show. The hosts are data."""

from __future__ import annotations

import base64
import os
import shutil
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.core.controller import adopt, packed
from monitor.core.controller import ledger as controller_ledger
from monitor.core.host import evidence, ledger_copies
from monitor.core.model import answers
from tests.integration.controller.data_hosts import Room, acts

SERVICES = ["scen2_srv_01", "scen2_srv_02", "scen2_srv_03"]


@pytest.fixture(name="lost")
def lost_fixture(room: Room, tmp_path: Path) -> Iterator[Room]:
    """A site that was deployed, whose item 03 was stopped, with a backup elsewhere; then 01 was started once more, and
    the controller's disk is gone."""
    site_id = room.open()
    room.run("deploy")
    room.run("stop", instances=["scen2_srv_03"])
    (tmp_path / "elsewhere").mkdir()
    adopt.export(room.site.state_dir, str(tmp_path / "elsewhere"))
    room.run("restart", instances=["scen2_srv_01"])
    shutil.rmtree(room.site.state_dir)
    for host in room.hosts.values():
        host["controller"] = "controller"
        assert host["site_id"] == site_id
    yield room


def shown(room: Room) -> dict[str, Any]:
    """What every host shows, with what it remembers of instances that were stopped."""
    seen = room.observe()
    for document in seen.values():
        epochs = {name: copy["epoch"] for name, copy in document["instances"].items()}
        document["evidence"] = {"watched": False, "epochs": {"scen2_srv_03": 1, **epochs}}
    return seen


def silent(seen: dict[str, Any], *names: str) -> dict[str, Any]:
    return {**seen, **{name: {"host": name, "answer": "unreachable", "why": "no route"} for name in names}}


def adopted(room: Room, seen: dict[str, Any], **asked: Any) -> dict[str, Any]:
    told = room.ask("adopt", observations=seen, **asked)
    assert not told["adopted"]
    made = room.ask("adopt", observations=seen, agreed=told["fingerprint"], **asked)
    assert made["adopted"]
    return told


def home(room: Room, name: str) -> str:
    return next(host for host, document in room.hosts.items() if name in document["instances"])


class TestALostController:
    def test_goes_on_from_its_backup_and_restarts_nothing(self, lost: Room, tmp_path: Path) -> None:
        before = lost.observe()
        told = adopted(lost, shown(lost), backup=str(tmp_path / "elsewhere"))
        assert any("scen2_srv_01 runs on" in line for line in told["lines"])
        state, _revision = lost.ledger()
        assert state["claims"]["scen2_srv_01"]["epoch"] == 2
        assert state["wanted"]["scen2_srv_03"]["state"] == "stopped"
        planned = lost.run("deploy")
        assert [a for a in acts(planned) if a[0] in ("start", "stop", "restart")] == []
        assert {h: d["instances"] for h, d in lost.hosts.items()} == {h: d["instances"] for h, d in before.items()}
        assert lost.run()["requests"] == {}

    def test_without_a_backup_goes_on_from_what_the_hosts_show(self, lost: Room) -> None:
        told = adopted(lost, shown(lost))
        assert any("no backup" in line for line in told["lines"])
        assert any("whether somebody had stopped scen2_srv_03" in line for line in told["lines"])
        planned = lost.run("deploy")
        assert [a for a in acts(planned) if a[0] in ("start", "stop", "restart")] == []
        lost.run("start", instances=["scen2_srv_03"])
        assert lost.claim("scen2_srv_03")["epoch"] == 2  # its hosts remember the first
        assert sorted(name for d in lost.hosts.values() for name in d["instances"]) == SERVICES

    def test_keeps_its_identity_and_its_trail(self, lost: Room, tmp_path: Path) -> None:
        (backup,) = (tmp_path / "elsewhere").glob("*/ledger-*.db")
        with controller_ledger.Ledger(str(backup), copy=True) as copy:
            before, revision = copy.read()
            trail = copy.trail(limit=1000)
        adopted(lost, shown(lost), backup=str(backup), who="eve")
        state, now = lost.ledger()
        assert state["meta"]["site_id"] == before["meta"]["site_id"] and now > revision
        entries = lost.ask("trail", limit=1000)["trail"]
        assert entries[:-1] == trail
        assert (entries[-1]["who"], entries[-1]["what"]) == ("eve", "the site was adopted")

    def test_is_told_without_a_yes_and_nothing_is_made(self, lost: Room) -> None:
        lost.ask("adopt", observations=shown(lost))
        assert not os.path.exists(lost.site.state_dir)

    def test_whose_hosts_changed_since_the_person_looked_is_shown_again(self, lost: Room) -> None:
        seen = shown(lost)
        agreed = lost.ask("adopt", observations=seen)["fingerprint"]
        seen[home(lost, "scen2_srv_01")]["instances"].pop("scen2_srv_01")
        assert "has changed since it was shown" in lost.error("adopt", observations=seen, agreed=agreed)
        assert not os.path.exists(os.path.join(lost.site.state_dir, "ledger.db"))


class TestItIsRefused:
    def test_while_a_monitor_still_listens_to_a_host(self, lost: Room) -> None:
        seen = shown(lost)
        seen["server_2"]["evidence"]["watched"] = True
        assert "a monitor still listens to server_2" in lost.error("adopt", observations=seen)

    def test_while_the_monitor_of_this_folder_runs(self, room: Room) -> None:
        import fcntl

        room.open()
        run = Path(room.site.state_dir) / "run"
        run.mkdir(exist_ok=True)
        with (run / "monitor.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            assert "runs: stop it first" in room.error("adopt", observations=shown(room))

    def test_beside_a_ledger_that_works(self, room: Room) -> None:
        room.open()
        room.run("deploy")
        before = room.ledger()
        assert "it is sound: nothing is lost" in room.error("adopt", observations=shown(room))
        assert room.ledger() == before

    def test_when_the_hosts_belong_to_different_ledgers_or_to_another_controller(self, lost: Room) -> None:
        seen = shown(lost)
        seen["server_1"]["site_id"] = "scenario_2-other"
        assert "belong to different ledgers" in lost.error("adopt", observations=seen)
        seen = shown(lost)
        seen["server_1"]["controller"] = "old"
        assert "server_1 is controlled by old and this controller is called controller" in lost.error(
            "adopt", observations=seen
        )

    def test_when_no_host_answers(self, lost: Room) -> None:
        assert "no host shows that it belongs to a site (server_1: no route" in lost.error(
            "adopt", observations=silent(shown(lost), *lost.hosts)
        )

    def test_when_two_silent_hosts_may_run_one_service(self, lost: Room) -> None:
        others = [host for host in ("server_1", "server_2", "server_3") if host != home(lost, "scen2_srv_01")]
        seen = silent(shown(lost), *others)
        words = lost.error("adopt", observations=seen)
        assert "scen2_srv_02 may run on %s, which do not answer" % " and ".join(others) in words
        assert "is not down" in lost.error("adopt", observations=seen, down=[home(lost, "scen2_srv_01")])
        assert "did you mean server_1" in lost.error("adopt", observations=seen, down=["sever_1"])


class TestASilentHost:
    def test_keeps_what_it_may_run_so_that_nothing_starts_twice(self, lost: Room, tmp_path: Path) -> None:
        away = home(lost, "scen2_srv_02")
        told = adopted(lost, silent(shown(lost), away), backup=str(tmp_path / "elsewhere"))
        assert any("what runs on %s, which does not answer" % away in line for line in told["lines"])
        assert lost.claim("scen2_srv_02")["host"] == away
        planned = lost.plan("deploy")  # it answers again, and shows what it ran all the time
        assert [a for a in acts(planned) if a[1] in SERVICES and a[0] in ("start", "stop", "restart")] == []

    def test_that_a_person_has_seen_off_gives_what_it_ran_to_others_under_epochs_it_cannot_have(
        self, lost: Room, tmp_path: Path
    ) -> None:
        away = home(lost, "scen2_srv_02")
        seen = silent(shown(lost), away)
        adopted(lost, seen, backup=str(tmp_path / "elsewhere"), down=[away])
        assert lost.ledger()[0]["hosts"][away]["state"] == "down"
        kept = lost.hosts.pop(away)
        try:
            lost.run("deploy")
        finally:
            lost.hosts[away] = kept
        claim = lost.claim("scen2_srv_02")
        assert claim["host"] != away and claim["epoch"] > 1000


class TestTheBackup:
    def test_is_put_back_as_it_is_while_no_host_shows_more(self, room: Room) -> None:
        room.open()
        room.run("deploy")
        before = room.ledger()[0]
        path = Path(room.site.state_dir) / "ledger.db"
        path.write_bytes(b"x" * 9000)
        seen = shown(room)
        for document in seen.values():
            document["evidence"]["epochs"].pop("scen2_srv_03")
        adopted(room, seen, exact=True)
        state, _unused = room.ledger()
        assert state == before
        assert room.run()["requests"] == {}
        assert list(path.parent.glob("ledger.db.before-*"))

    def test_that_is_older_than_the_hosts_is_refused_as_it_is(self, lost: Room, tmp_path: Path) -> None:
        words = lost.error("adopt", observations=shown(lost), backup=str(tmp_path / "elsewhere"), exact=True)
        assert "is older than what the hosts show (scen2_srv_01 has epoch 2, and the backup knows up to 1)" in words
        assert "muster adopt takes what runs as it is" in words

    def test_that_is_damaged_or_of_another_ledger_does_not_count(self, lost: Room, tmp_path: Path) -> None:
        (backup,) = (tmp_path / "elsewhere").glob("*/ledger-*.db")
        (tmp_path / "ledger-0000000900.db").write_bytes(backup.read_bytes()[:5000])
        (tmp_path / "ledger-0000000901.db").write_bytes(b"no database")
        with controller_ledger.Ledger(str(tmp_path / "ledger-0000000902.db")) as other:
            other.create("scenario_2", "scenario_2-other")
        told = adopted(lost, shown(lost), backup=str(tmp_path))
        assert sum("does not count" in line for line in told["lines"]) == 2
        assert any("1 backups are of another ledger" in line for line in told["lines"])
        assert any("no backup of it was found" in line for line in told["lines"])

    def test_the_newest_is_taken_and_nothing_is_written_beside_it(self, lost: Room, tmp_path: Path) -> None:
        before = {path: path.stat().st_mtime_ns for path in (tmp_path / "elsewhere").rglob("*")}
        adopted(lost, shown(lost), backup=str(tmp_path / "elsewhere"))
        assert {path: path.stat().st_mtime_ns for path in (tmp_path / "elsewhere").rglob("*")} == before

    def test_of_a_source_that_is_not_there_is_an_error(self, lost: Room, tmp_path: Path) -> None:
        assert "there is no backup at" in lost.error("adopt", observations=shown(lost), backup=str(tmp_path / "none"))
        (tmp_path / "empty").mkdir()
        assert "there is no backup (ledger-*.db) in" in lost.error(
            "adopt", observations=shown(lost), backup=str(tmp_path / "empty")
        )

    def test_goes_to_a_folder_for_each_ledger_and_the_newest_three_stay(self, room: Room, tmp_path: Path) -> None:
        site_id = room.open()
        for _unused in range(5):
            room.run("deploy", who=str(time.time()))
            with controller_ledger.Ledger(os.path.join(room.site.state_dir, "ledger.db")) as ledger:
                ledger.commit(ledger.read()[1], {}, [])
            adopt.export(room.site.state_dir, str(tmp_path / "usb"))
        found = sorted((tmp_path / "usb" / site_id).iterdir())
        assert len(found) == 3 and all(path.stat().st_mode & 0o777 == 0o600 for path in found)


class TestACopyThatHostsKeep:
    """Left by the monitor with the witnesses; their agent keeps them in real folders."""

    @pytest.fixture(name="kept")
    def kept_fixture(self, room: Room, tmp_path: Path) -> Iterator[tuple[Room, dict[str, Any]]]:
        """A site whose item 03 was stopped, with a copy at two hosts, the second one's being newer; nothing else."""
        room.open()
        room.run("deploy")
        roots = {name: tmp_path / name for name in ("server_1", "server_2")}
        for name, root in roots.items():
            (root / "etc").mkdir(parents=True)
            (root / "etc" / "host.json").write_text("{}")
            if name == "server_2":
                room.run("stop", instances=["scen2_srv_03"])
            _mark, copy = packed.copy(room.site.state_dir)
            assert ledger_copies.keep({"host": {"root": str(root)}, "copy": copy}) == {"kept": copy["revision"]}
        shutil.rmtree(room.site.state_dir)
        for host in room.hosts.values():
            host["controller"] = "controller"
        seen = shown(room)
        for name, root in roots.items():
            seen[name]["evidence"]["copy"] = evidence.gather(str(root))["copy"]
        yield room, {name: answers.checked("observe", document, name) for name, document in seen.items()}

    def test_the_newest_is_found_without_a_backup_and_told_with_its_age(self, kept: Any) -> None:
        room, seen = kept
        told = adopted(room, seen)
        says = [line for line in told["lines"] if "the copy that server_2 keeps" in line]
        assert len(says) == 1 and " ago" in says[0]
        assert any("the copy that server_1 keeps has revision" in line for line in told["lines"])
        state, _revision = room.ledger()
        assert state["wanted"]["scen2_srv_03"]["state"] == "stopped"
        planned = room.run("deploy")
        assert [a for a in acts(planned) if a[0] in ("start", "stop", "restart")] == []

    def test_one_that_was_changed_does_not_count(self, kept: Any) -> None:
        room, seen = kept
        copy = seen["server_2"]["evidence"]["copy"]
        copy["text"] = copy["text"][:-8] + "AAAAAAA="
        told = adopted(room, seen)
        assert any("the copy that server_2 keeps does not count: its digest" in line for line in told["lines"])
        assert any("from the copy that server_1 keeps" in line for line in told["lines"])

    def test_one_that_unpacks_to_nonsense_does_not_count(self, kept: Any) -> None:
        room, seen = kept
        for name, text in (("server_1", "AAAA"), ("server_2", base64.b64encode(zlib.compress(b'{"x": {}}')).decode())):
            digest = ledger_copies.digest(text)
            seen[name]["evidence"]["copy"].update(text=text, digest=digest)
        told = adopted(room, seen)
        assert sum("keeps does not count: it cannot be read" in line for line in told["lines"]) == 2
        assert any("no backup of it was found" in line for line in told["lines"])

    def test_a_file_that_a_person_names_is_taken_alone(self, kept: Any, tmp_path: Path) -> None:
        room, seen = kept
        path = str(tmp_path / "ledger-0000000001.db")
        packed.unpack(seen["server_1"]["evidence"]["copy"], path)
        told = adopted(room, seen, backup=path)
        assert any("from %s" % path in line for line in told["lines"])

    def test_a_host_keeps_the_newest_three_and_only_its_account_reads_them(self, kept: Any, tmp_path: Path) -> None:
        _room, seen = kept
        root, copy = tmp_path / "server_1", seen["server_1"]["evidence"]["copy"]
        for more in range(1, 6):
            ledger_copies.keep({"host": {"root": str(root)}, "copy": {**copy, "revision": copy["revision"] + more}})
        files = sorted((root / "etc" / "ledger").iterdir())
        assert len(files) == ledger_copies.KEPT
        assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
        assert (root / "etc" / "ledger").stat().st_mode & 0o777 == 0o700
        newest = ledger_copies.newest(str(root))
        assert newest is not None and newest["revision"] == copy["revision"] + 5
        files[-1].write_text(files[-1].read_text()[:-200])
        newest = ledger_copies.newest(str(root))
        assert newest is not None and newest["revision"] == copy["revision"] + 4, "a damaged one is passed over"
        bad = ledger_copies.keep({"host": {"root": str(root)}, "copy": {**copy, "digest": "0" * 64}})
        assert "damaged" in bad["error"]
