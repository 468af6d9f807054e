# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The monitor's watch list on disk: newest valid content, whatever happens to the file."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from monitor.watch.watch_file import FileEvents, WatchList
from tests.integration.probes.real_buses import until


def publish(folder: Path, revision: int, **facts: Any) -> None:
    document = {"schema": 1, "revision": revision, "site_id": "s-1", "instances": {}, **facts}
    fresh = folder / "watch.json.new"
    fresh.write_text(json.dumps(document))
    os.replace(fresh, folder / "watch.json")


def followed(folder: Path) -> tuple[WatchList, list[str]]:
    complaints: list[str] = []
    return WatchList(folder, complaints.append), complaints


def test_a_missing_watch_list_is_reported_once(tmp_path: Path) -> None:
    watched, complaints = followed(tmp_path)
    assert not watched.refresh()
    assert not watched.refresh()
    assert complaints == ["there is no watch list yet (%s): deploy first" % (tmp_path / "watch.json")]


def test_a_new_file_is_taken_in_once(tmp_path: Path) -> None:
    watched, complaints = followed(tmp_path)
    publish(tmp_path, 3)
    assert watched.refresh()
    assert not watched.refresh()
    assert (watched.watch.revision, complaints) == (3, [])


def test_a_list_that_is_removed_or_damaged_is_lost_until_it_is_published_again(tmp_path: Path) -> None:
    watched, complaints = followed(tmp_path)
    publish(tmp_path, 3)
    watched.refresh()
    assert not watched.lost
    (tmp_path / "watch.json").unlink()
    watched.refresh()
    assert watched.lost
    assert "going on with revision 3" in complaints[0]
    publish(tmp_path, 3)
    watched.refresh()
    assert not watched.lost
    (tmp_path / "watch.json").write_text("{")
    watched.refresh()
    assert watched.lost
    (tmp_path / "watch.json").write_text('{"schema": 9}')
    watched.refresh()
    assert not watched.lost, "somebody else's is left to them"


def test_a_half_written_file_leaves_the_last_one_standing_and_says_so(tmp_path: Path) -> None:
    watched, complaints = followed(tmp_path)
    publish(tmp_path, 3)
    watched.refresh()
    whole = (tmp_path / "watch.json").read_text()
    (tmp_path / "watch.json").write_text(whole[: len(whole) // 2])
    assert not watched.refresh()
    assert watched.watch.revision == 3
    assert len(complaints) == 1
    assert "half-written" in complaints[0]
    assert complaints[0].endswith("going on with revision 3")
    publish(tmp_path, 4)
    assert watched.refresh()
    assert watched.watch.revision == 4


def test_a_watch_list_of_another_schema_is_not_followed(tmp_path: Path) -> None:
    watched, complaints = followed(tmp_path)
    publish(tmp_path, 3, schema=9)
    assert not watched.refresh()
    assert "schema 9" in complaints[0]


def test_an_older_watch_list_is_followed_and_reported(tmp_path: Path) -> None:
    watched, complaints = followed(tmp_path)
    publish(tmp_path, 30)
    watched.refresh()
    publish(tmp_path, 4)
    assert watched.refresh()
    assert complaints == ["the watch list went back from revision 30 to 4"]


def test_a_removed_folder_stops_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    watched, complaints = followed(folder)
    publish(folder, 3)
    watched.refresh()
    (folder / "watch.json").unlink()
    folder.rmdir()
    assert not watched.refresh()
    assert watched.watch.revision == 3
    assert len(complaints) == 1


def test_a_replaced_file_wakes_at_once_and_others_do_not(tmp_path: Path) -> None:
    async def scenario() -> None:
        woken: list[bool] = []
        events = FileEvents(tmp_path, asyncio.get_running_loop(), lambda: woken.append(True))
        try:
            (tmp_path / "ledger.db").write_text("x")
            await asyncio.sleep(0.05)
            assert woken == []
            publish(tmp_path, 1)
            await until(lambda: woken, "the event")
        finally:
            events.stop()

    asyncio.run(scenario())
