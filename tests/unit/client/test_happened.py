# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`muster events` of some time: what the monitor is asked, and what is shown of its answer."""

from __future__ import annotations

import argparse
import json
from typing import Any

import pytest

from monitor.core.client import happened


class Remote:
    """A monitor with a trail of two instances in turn."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}

    def get(self, path: str, timeout: float, **query: Any) -> dict[str, Any]:
        self.asked = query
        story = [{"id": n, "at": float(n), "kind": "trail", "instance": "app_%d" % (n % 2)} for n in range(200)]
        return {"story": story[-int(query["limit"]) :]}


def test_the_newest_of_one_instance_are_as_many_as_were_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    happened.add_events(parser)
    options = parser.parse_args(["--since", "1d", "--instance", "app_1", "-n", "30", "--json"])
    options.timeout = 1.0
    remote: Any = Remote()
    happened.events(options, remote)
    shown = [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()]
    assert shown == list(range(141, 200, 2)) and remote.asked["word"] == "app_1"
