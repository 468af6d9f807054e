# Copyright (c) muster contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated host carries out an act: this takes time, and continues when the sender is gone.

A host that loses its power drops it, one that is frozen goes on with it once it is thawed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tests.unit.simulation.hosts import BUS, SimHost

if TYPE_CHECKING:
    from tests.unit.simulation.world import SimWorld


def send(
    world: SimWorld, host: SimHost, request: dict[str, Any], run: str, answer: Callable[[dict[str, Any]], None]
) -> None:
    """Deliver an act request; the host answers when all of it is done, unless the host is lost."""
    entries = request["instances"]
    left = min(float(request["deadline"]), request["expires"] - world.wall)
    if left <= 0:
        answer({"unreachable": "the plan of run %s is older than it may be" % run})
        return
    results: dict[str, Any] = {}
    if request.get("revive") and host.on and not host.frozen and not host.manager:
        world.start_manager(host)
    if not entries:
        answer({"results": {}})
        return

    def done(name: str, result: dict[str, Any]) -> None:
        results[name] = result
        if len(results) == len(entries):
            answer({"results": results})

    for entry in entries:
        _work(world, host, entry, request, run, world.t + left, done)


def _work(world: SimWorld, host: SimHost, entry: Mapping[str, Any], request: Mapping[str, Any], run: str, until: float,
          done: Callable[[str, dict[str, Any]], None]) -> None:  # fmt: skip
    name, powered = entry["instance"], host.powered
    held: set[str] = set()  # once it was looked what the order means for what the host may do by itself
    lease = world.leases.session(host) if world.leases is not None else 0

    def on_host(delay: float, step: Callable[[], None]) -> None:
        def due() -> None:
            if not host.on or host.powered != powered:
                world.working.get(name, {}).pop(run, None)
            elif host.frozen:
                host.waiting.append(due)
            else:
                step()

        world.after(delay, due)

    def over(result: dict[str, Any]) -> None:
        if world.helps is not None and name in held:
            world.helps.ended(host, entry, result)
        host.locks.discard(name)
        world.working.get(name, {}).pop(run, None)
        world.tell("%s: run %s: %s of %s: %s" % (host.name, run, entry["do"], name, result))
        done(name, result)

    def begin() -> None:
        if name in host.locks:
            if world.t >= until:
                done(name, {"result": "refused", "reason": f"{name} is being worked on on {host.name}"})
            else:
                on_host(0.2, begin)
            return
        host.locks.add(name)
        if world.helps is not None and not world.helps.begun(host, entry):
            over({"result": "refused", "reason": f"{host.name} may not start {name} by itself any more"})
            return
        held.add(name)
        world.alone(name, host, run, until)
        if entry["do"] != "stop" and request.get("boot", host.boot) != host.boot:
            over({"result": "refused", "reason": f"{host.name} was booted after the run had looked at it"})
        elif entry["epoch"] < host.last.get(name, 0):
            over({"result": "refused", "reason": f"{host.name} has seen epoch {host.last[name]} of {name}"})
        elif entry["do"] == "stop":
            on_host(world.rng.uniform(0.01, 0.4), stop)
        elif not host.manager and not request["start_service_manager"]:
            over({"result": "refused", "reason": f"the service manager of {host.name} does not run"})
        elif entry["do"] == "grant":
            copy = host.copies.get(name)
            runs = copy is not None and copy.epoch == entry["epoch"] and lease == world.session(host)
            over({"result": "running"} if runs else {"result": "refused", "reason": "it does not run"})
        else:
            start()

    def stop() -> None:
        host.last[name] = entry["epoch"]
        if name in world.stubborn and name in host.copies:
            over({"result": "failed", "reason": f"{name} does not end"})
            return
        world.gone(host, name)
        over({"result": "stopped"})

    def start() -> None:
        if world.leases is not None and not lease == world.leases.session(host) > 0:
            over({"result": "refused", "reason": f"{host.name} holds no lease, or a new one"})
            return
        if not host.manager:
            world.start_manager(host)
        copy = host.copies.get(name)
        if entry["do"] in ("continue", "repair"):
            if copy is None or copy.epoch != entry["epoch"]:
                over({"result": "refused", "reason": f"{name} does not run under epoch {entry['epoch']}"})
            else:
                on_host(world.rng.uniform(0.05, 0.5), join)
            return
        if name in world.stubborn and copy is not None:
            over({"result": "refused", "reason": f"{name} does not end"})
            return
        was_there = copy is not None
        world.gone(host, name)
        if world.t > until:
            over({"result": "failed", "reason": "the time for this start is over", "started": [], "left": []})
            return
        host.last[name] = host.claims[name] = entry["epoch"]
        world.spawn(host, name, entry, run, was_there)
        slow = world.broken.get(name) == "hangs"
        on_host(until - world.t if slow else world.rng.uniform(0.1, 1.5), lambda: finish(slow))

    def join() -> None:
        copy = host.copies.get(name)
        if world.leases is not None and lease != world.leases.session(host):
            copy = None
        if copy is None or copy.epoch != entry["epoch"]:
            over({"result": "failed", "reason": f"{BUS} exited", "failed": {}, "started": []})
            return
        expected = [p["name"] for p in entry["programs"] if not p["wait_exit"]]
        deferred = list(copy.deferred)
        if entry["do"] == "continue" and host.common_bus:
            deferred = []
        if deferred == list(copy.deferred) and entry["do"] == "continue" and deferred:
            over({"result": "running", "deferred": deferred, "failed": {}, "started": []})
            return
        copy.programs = sorted(set(copy.programs) | (set(entry["only"]) & set(expected)))
        copy.deferred = deferred
        over({"result": "running", "deferred": deferred, "failed": {}, "started": []})

    def finish(late: bool) -> None:
        copy = host.copies.get(name)
        failed = "did not start in time" if late or world.t > until else ""
        if copy is None or copy.epoch != entry["epoch"] or BUS not in copy.programs:
            failed = "%s exited while it was starting" % BUS
        if world.broken.get(name) == "fails":
            failed = "data_processing exited 3"
        if failed:
            world.bad(name)
            left: list[str] = []
            if copy is not None and entry["starting_failure_strategy"] != "stop" and copy.programs:
                left = list(copy.programs)
            elif copy is not None:
                world.gone(host, name)
            if not left:
                host.claims.pop(name, None)
            over({"result": "failed", "reason": failed, "started": left, "left": left})
            return
        assert copy is not None
        programs = [p["name"] for p in entry["programs"] if not p["wait_exit"]]
        if not host.common_bus and "common_bus_interface" in programs:
            programs.remove("common_bus_interface")
            copy.deferred = ["check_common_data_bus", "common_bus_interface"]
        copy.programs = programs
        over({"result": "running", "deferred": list(copy.deferred), "failed": {}, "started": programs})
        if world.broken.get(name) == "dies":
            on_host(0.05, lambda: world.crash_bus(host, name))

    on_host(world.rng.uniform(0.01, 0.05), begin)
