# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab for people: `make lab`, then the commands that it prints.

usage: python -m tests.lab [--name LAB] [--net 10.77.0] COMMAND

  up [--service-manager supervisor|systemd]   boot it: six hosts and a controller, with an inventory
                                              (LAB_DEBIAN=trixie: hosts of another Debian than this machine's)
  down                                        remove it, also what was left of one
  state                                       one line per host
  run HOST COMMAND...                         a command at a host's console
  play PLAYBOOK [ARGUMENT...]                 a playbook of the collection, on the controller
  muster [ARGUMENT...]                        the command line, on the controller
  cut HOST | boot HOST | reboot HOST          power cut; power on; an orderly reboot
  freeze HOST | thaw HOST                     every process stands still; goes on
  pull HOST [both|in|out] | heal [HOST]       pull the cable (both: the link is down; in, out: frames are lost)
  part HOST HOST                              these two cannot reach each other; heal ends it
  slow HOST [256kbit]                         what is sent to the host trickles; heal ends it
  fill HOST | free HOST                       the disk of /opt is full; is not
  clock HOST SECONDS                          its clock is off by so much; 0 puts it right
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable

from tests.lab import inventory, reaper
from tests.lab.hosts import Lab
from tests.lab.names import CONTROLLER, LabError, Names
from tests.lab.site import LabSite


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="tests.lab", usage="python -m tests.lab [--name LAB] [--net 10.77.0] COMMAND",
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--name", default="lab")
    parser.add_argument("--net", default="10.77.0")
    parser.add_argument("command", choices=sorted([*COMMANDS, "up", "down", "run", "play", "muster", "state"]))
    parser.add_argument("rest", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    lab = Lab(Names(options.name, options.net))
    try:
        return _do(lab, options.command, options.rest)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except TypeError:
        print(f"lab: {options.command} does not take {options.rest}\n{__doc__}", file=sys.stderr)
        return 2


def _do(lab: Lab, command: str, rest: list[str]) -> int:
    if command == "down":
        lab.claim()  # not while a test uses it
        print("the lab is gone" if reaper.remove(lab.names.lab) else "there is no lab of this name")
        lab.names.lock.unlink(missing_ok=True)
        return 0
    if command == "up":
        return _up(lab, rest)
    if not lab.names.folder.exists():
        raise LabError(f"the lab {lab.names.lab} is not up: make lab")
    if command == "state":
        for host, state in lab.state().items():
            print(f"{host:<11} {lab.names.address(host):<13} {state}")
        return 0
    if command in ("play", "muster"):
        site = LabSite.__new__(LabSite)
        site.lab, site.environment = lab, LabSite.controller_environment()
        words = (site._playbook(rest[0], {}) + rest[1:]) if command == "play" else site.command_line(*rest)
        return subprocess.run(site._inside(words), check=False).returncode
    host = rest[0] if rest else ""
    unknown = [name for name in rest[: 2 if command == "part" else 1] if name not in lab.names.hosts]
    if unknown:
        raise LabError(f"there is no host {unknown[0]}; there are {', '.join(lab.names.hosts)}")
    if command == "run":
        return subprocess.run(lab.machines[host].inside(*rest[1:] or ["bash", "-l"]), check=False).returncode
    COMMANDS[command](lab, *rest)
    return 0


COMMANDS: dict[str, Callable[..., None]] = {
    "cut": Lab.power_cut,
    "boot": Lab.boot,
    "reboot": Lab.reboot,
    "freeze": Lab.freeze,
    "thaw": Lab.thaw,
    "pull": lambda lab, *words: lab.switch.pull(*words),
    "heal": lambda lab, *words: lab.switch.heal(*words),
    "part": lambda lab, *words: lab.switch.part(*words),
    "slow": lambda lab, *words: lab.switch.slow(*words),
    "fill": lambda lab, host: lab.fill_disk(host),
    "free": lambda lab, host: lab.free_disk(host),
    "clock": lambda lab, host, seconds: lab.set_clock(host, float(seconds)),
}


def _up(lab: Lab, rest: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="tests.lab up")
    parser.add_argument("--service-manager", default="supervisor", choices=["supervisor", "systemd"])
    parser.add_argument("--user", default="root", choices=["root", "operator"])
    options = parser.parse_args(rest)
    began = time.monotonic()
    try:
        lab.up()
        inventory.write(lab, options.service_manager, options.user)
    except BaseException:
        lab.down()
        raise
    this = "python -m tests.lab" + ("" if lab.names.lab == "lab" else f" --name {lab.names.lab}")
    print(f"""{len(lab.names.hosts)} hosts are up after {time.monotonic() - began:.1f} s:
{", ".join(f"{host} {lab.names.address(host)}" for host in lab.names.hosts)}

  deploy the site       .venv/bin/{this} play site
  what runs             .venv/bin/{this} muster status
  a shell on a host     {" ".join(lab.ssh("server_1"))}
  ... or past the net   .venv/bin/{this} run server_1
  the inventory         {lab.opt(CONTROLLER)}/site/inventory  ({inventory.INVENTORY} on the controller)
  break something       .venv/bin/{this} cut server_1; all of it: .venv/bin/{this} --help
  take it away          {"" if lab.names.lab == "lab" else f"LAB={lab.names.lab} "}make lab-down
""")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
