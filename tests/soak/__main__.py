# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Breaks a local site at random, again and again, and audits it from outside after each time.

Every step is a fault or two at once, at random moments, and often somebody's request between them. Afterwards every
wanted instance must run exactly once in full, what was stopped must stay so, and nothing may be left half done or
behind. What happens in a step follows from seed and number alone, as far as the machine's own timing allows.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from tests.integration.local_site import ROOT
from tests.soak.audit import DOUBLED, Finding, settled
from tests.soak.faults import FAULTS
from tests.soak.history import overlaps
from tests.soak.report import table, write
from tests.soak.story import Step, chosen, step
from tests.soak.world import Sampler, World, deployed

REPAIRED = 90.0  # s
WITNESSED = [kind for kind in FAULTS if kind != "two servers cut"]  # servers are the witnesses, and most must be there


def main(arguments: Sequence[str] | None = None) -> int:
    listed = "\n".join("  %-22s %s" % (name, (do.__doc__ or "").strip()) for name, do in FAULTS.items())
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak", description=__doc__, epilog="faults:\n" + listed,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--faults", type=int, default=200, metavar="N", help="how many (default: 200)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed: the same story (default: 1)")
    parser.add_argument("--first", type=int, default=1, metavar="N", help="begin with this step of the story")
    parser.add_argument("--single", action="store_true", help="one fault in each step, and no requests of people")
    parser.add_argument("--leases", action="store_true", help="exclusion by witnesses; two servers are never cut")
    parser.add_argument("--only", action="append", choices=sorted(FAULTS), metavar="FAULT", help="one to choose from")
    parser.add_argument("--stop", action="store_true", help="end with the first finding and leave what was found")
    parser.add_argument("--number", type=int, default=95, help="of the site's network: 127.x.NUMBER (default: 95)")
    parser.add_argument("--output", type=Path, default=ROOT / ".cache" / "soak" / time.strftime("%Y%m%d-%H%M%S.json"))
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupted)
    steps: list[Step] = []
    samples = 0
    with deployed(options.number, leases=options.leases) as world:
        sampler = Sampler(world)
        sampler.start()
        try:
            _soak(world, sampler, options, steps)
        except KeyboardInterrupt:
            print("interrupted")
        finally:
            sampler.stop()
            samples = sampler.samples
        twice = overlaps(world.lab.monitor_log())
        if twice and steps:
            steps[-1].findings += [Finding(DOUBLED, sentence) for sentence in twice]
    found = write(options.output, options.seed, steps, samples)
    print(table(found))
    print("all of it: %s" % options.output)
    return 1 if any(s.findings for s in steps) or not steps else 0


def _soak(world: World, sampler: Sampler, options: argparse.Namespace, steps: list[Step]) -> None:
    number, faults = options.first, 0
    while faults < options.faults:
        kinds, asks = chosen(options.seed, number, options.only or (WITNESSED if options.leases else ()))
        kinds, asks = (kinds[:1], False) if options.single else (kinds, asks)
        done = step(world, sampler, options.seed, number, kinds[: options.faults - faults], asks)
        steps.append(done)
        faults += len(done.kinds)
        print(done, flush=True)
        if done.findings:
            place = options.output.with_name("%s-%d" % (options.output.stem, number))
            print("     evidence in %s" % _keep(world, done, place), flush=True)
            if options.stop or not _repaired(world):
                return
        number += 1


def _repaired(world: World) -> bool:
    """Go on from a sound site, so that one finding is not counted again and again."""
    world.lab.play("reconcile")
    left = settled(world, REPAIRED)
    if left:
        print("     not repaired by reconcile either: %s" % "; ".join(map(str, left)), flush=True)
    return not left


def _keep(world: World, done: Step, folder: Path) -> Path:
    """Keep the files that are needed to find the cause."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "step.txt").write_text("%s\n%s" % (done, done.answer))
    (folder / "monitor.log").write_text(world.lab.monitor_log()[-200_000:])
    (folder / "events.txt").write_text(world.lab.muster("events", "--number", "200").output)
    for kind in ("claims", "wanted", "hosts"):
        (folder / (kind + ".txt")).write_text("\n".join("%s %s" % e for e in sorted(world.ledger(kind).items())))
    (folder / "processes.txt").write_text("\n".join(map(str, world.lab.processes())))
    return folder


def _interrupted(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt  # the site is taken down on the way out


if __name__ == "__main__":
    sys.exit(main())
