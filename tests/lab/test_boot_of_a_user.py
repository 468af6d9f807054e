# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""supervisord starts with its machine also where a deploy is not root: by a unit of a user who may linger."""

from __future__ import annotations

from tests.integration.local_site import wait_for
from tests.lab.hosts import lab as booted
from tests.lab.layer import USER_ID
from tests.lab.names import CONTROLLER
from tests.lab.site import LabSite

UNIT = "/home/operator/.config/systemd/user/%smuster-supervisord-%s.service"


def test_a_user_who_may_linger_gets_a_unit_that_starts_it_and_another_gets_an_error() -> None:
    with booted(servers=("server_1", "server_2"), consoles=("console_1",)) as lab:
        site = LabSite(lab, "supervisor", "operator", muster_items=["01"])
        lab.run("server_1", "sh", "-c", "mkdir -p /var/lib/systemd/linger && touch /var/lib/systemd/linger/operator")
        said = " ".join(site.good("deploy").output.split())
        assert "server_2: supervisord does not start with the machine until a run starts it" in said
        assert "server_1: supervisord does not start" not in said
        assert "WantedBy=default.target" in site.on("server_1", "cat", UNIT % ("default.target.wants/", "server_1"))
        site.lab.power_cut(CONTROLLER, "server_1")
        site.lab.boot("server_1")
        assert [p for p in site.processes() if p.host == "server_1"] == []
        lab.run("server_1", "systemctl", "start", f"user@{USER_ID}.service")  # as logind, which the lab has not
        wait_for(lambda: [p for p in site.processes("common_data_bus_server_1") if p.host == "server_1"],
                 "the common bus", lambda: site.on("server_1", "journalctl", "-b", "-n", "40"))  # fmt: skip
        lab.boot(CONTROLLER)
        site.good("remove", confirm=True)
        assert "No such file" in site.on("server_1", "ls", UNIT % ("", "server_1"))
