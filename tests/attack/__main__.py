# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attacks a running local site as an ordinary user of its machine, and tells for each attack whether it held.

During each attack a bus is killed a few times, an operator asks through the owner's Unix socket, and an instance is
stopped and started. Held: the monitor notices the dead bus at most 2 s later than the slowest time without an attack,
the instance runs in full again, the operator is answered, and the stop and the start are carried out. It needs root, to
become another user.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from typing import NamedTuple

from tests.attack.attacks import ATTACKS, Attack
from tests.integration.api_client import Client
from tests.integration.local_site import SiteLab, wait_for

LATER_SECONDS = 2.0  # than without an attack
ANSWER_SECONDS = 5.0  # for an operator
STOP_SECONDS = 60.0
NOTICE_SECONDS = 60.0
VICTIM, STOPPED = "scen2_srv_01", "scen2_srv_02"


class Result(NamedTuple):
    what: str
    noticed: list[float]  # s from each kill to its line in the monitor's log; NOTICE_SECONDS: not
    back: float  # s, the longest until it ran in full again
    answered: float  # s, the longest answer to an operator
    stop: float  # s of stop and start together
    problems: list[str]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=__doc__)
    parser.add_argument("--only", action="append", choices=sorted(ATTACKS), metavar="ATTACK", help="one to run")
    parser.add_argument("--kills", type=int, default=3, help="of the bus in each attack (3)")
    parser.add_argument("--number", type=int, default=94, help="of the site's network: 127.x.NUMBER (94)")
    parser.add_argument("--list", action="store_true", help="what there is")
    options = parser.parse_args()
    if options.list:
        print("\n".join("%-14s %s" % (name, attack.what) for name, attack in ATTACKS.items()))
        return 0
    if os.geteuid() != 0:
        parser.error("it becomes another user, which only root may")
    lab = SiteLab(options.number)
    try:
        lab.good("deploy")
        lab.start_monitor()
        _settled(lab)
        quiet = _round(lab, "nothing", 2 * options.kills)
        print(_line(quiet, max(quiet.noticed)), flush=True)
        held = not quiet.problems
        for name in options.only or ATTACKS:
            result = _attacked(lab, ATTACKS[name], options.kills)
            print(_line(result, max(quiet.noticed)), flush=True)
            held = held and _held(result, max(quiet.noticed))
            _settled(lab)
    finally:
        lab.end()
    return 0 if held else 1


def _attacked(lab: SiteLab, attack: Attack, kills: int) -> Result:
    with attack.scene(lab):
        return _round(lab, attack.what, kills)


def _round(lab: SiteLab, what: str, kills: int) -> Result:
    noticed, back, answered, problems = [], 0.0, 0.0, []
    owner = Client(lab.state / "run" / "api.sock")
    for _unused in range(kills):
        claim = lab.claims()[VICTIM]
        at, began = time.time(), time.monotonic()
        os.kill(lab.bus(VICTIM), signal.SIGKILL)
        began_to_ask = time.monotonic()
        try:
            status = owner.get("/whoami").status
            problems += [] if status == 200 else ["an operator got status %d" % status]
        except OSError as error:
            problems.append("an operator got %s" % error)
        answered = max(answered, time.monotonic() - began_to_ask)
        noticed.append(_noticed(lab, at))
        try:
            wait_for(lambda epoch=claim["epoch"]: lab.whole(VICTIM, epoch), "it runs again", within=NOTICE_SECONDS)
            back = max(back, time.monotonic() - began)
        except AssertionError:
            problems.append("%s does not run again" % VICTIM)
            break
        # Else each next restart waits longer, as after crashes in a row.
        played = lab.muster("--timeout", "%d" % STOP_SECONDS, "reset", VICTIM, "--reason", "an attack")
        problems += ["reset: %s" % " ".join(played.output.split())[:200]] if played.rc else []
    began = time.monotonic()
    for verb in ("stop", "start"):
        played = lab.muster("--timeout", "%d" % STOP_SECONDS, verb, STOPPED, "--reason", "an attack")
        if played.rc:
            problems.append("%s: %s" % (verb, " ".join(played.output.split())[:200]))
    return Result(what, noticed, back, answered, time.monotonic() - began, problems)


def _noticed(lab: SiteLab, since: float) -> float:
    """Seconds from the kill to the monitor's line about it."""
    end = time.monotonic() + NOTICE_SECONDS
    while time.monotonic() < end:
        for text in lab.monitor_log().splitlines()[-400:]:
            try:
                line = json.loads(text)
            except ValueError:
                continue
            about = line.get("event") == "health" and line.get("name") == VICTIM and line.get("state") == "unhealthy"
            if about and line["at"] >= since - 0.001:
                return max(0.0, float(line["at"]) - since)
        time.sleep(0.05)
    return NOTICE_SECONDS


def _settled(lab: SiteLab) -> None:
    names = [name for name in lab.claims() if name.startswith("scen2_srv_")]
    wait_for(lambda: all(lab.whole(name) for name in names), "all services run", lab.monitor_log, 120.0)
    wait_for(lambda: '"parked"' in (lab.state / "run" / "monitor.json").read_text(), "a run is parked", within=120.0)


def _held(result: Result, quiet: float) -> bool:
    late = max(result.noticed) > quiet + LATER_SECONDS or result.answered > ANSWER_SECONDS
    return not (result.problems or late)


def _line(result: Result, quiet: float) -> str:
    word = "held" if _held(result, quiet) else "HOLE"
    figures = "noticed %.3f s at worst of %d, back %.1f s, operator %.2f s, stop and start %.1f s" % (
        max(result.noticed), len(result.noticed), result.back, result.answered, result.stop,
    )  # fmt: skip
    return "%s  %-55s %s%s" % (word, result.what, figures, "".join("; " + problem for problem in result.problems))


if __name__ == "__main__":
    sys.exit(main())
