// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The panel about one host: its load, what it holds, and what its loss would mean.

import * as actions from "./actions_hosts.js";
import { drill, note } from "./actions_site.js";
import { el } from "./dom.js";
import { historyOf } from "./history.js";
import { causeOf } from "./hosts.js";
import { logsButton } from "./logs.js";
import { hostState, model } from "./model.js";
import { does, row, state } from "./panel_kit.js";
import { plot } from "./plot.js";
import { ago, clock, listing, now, percent, size, span } from "./words.js";

const MIB = 1048576;

/** Figures of the machine as of now: none of a host that does not answer. */
function machine(one) {
  const load = one.answer === "seen" ? one.load : {};
  const known = (key) => typeof load[key] === "number";
  const waited = ["cpu", "memory", "io"].filter((what) => known(`pressure_${what}`));
  const names = { cpu: "a processor", memory: "memory", io: "a disk" };
  return [
    known("uptime") ? row("Up for", span(load.uptime)) : null,
    known("free_memory") ? row("Free", `${size(load.free_memory * MIB)} of memory, ${size(load.free_disk * MIB)} of disk`) : null,
    known("received") ? row("Network", `${size(load.received)}/s received, ${size(load.sent)}/s sent`) : null,
    waited.length
      ? row(
          "Waited for",
          `${waited.map((what) => `${names[what]} ${percent(load[`pressure_${what}`])}`).join(", ")} of the last minute`,
        )
      : null,
  ];
}

export function hostPanel(one) {
  const word = hostState(one);
  const name = one.host;
  const readiness = model.status.readiness.hosts[name];
  const services = Object.values(model.status.services).filter((service) => service.hosts[name]);
  const planned = one.planned_drain ? `, to be drained at ${clock(one.planned_drain.since)}` : "";
  const drain = one.drain && one.drain.until ? `, used again from ${clock(one.drain.until)}` : "";
  return [
    el("p", { class: "line" }, state(word), el("span", { text: ` ${one.address}, machine ${one.node}${drain}${planned}` })),
    causeOf(one) ? el("p", { class: "cause", text: causeOf(one) }) : null,
    el(
      "div",
      { class: "buttons" },
      one.planned_drain ? does("Call the drain off", actions.undrain(name)) : null,
      word === "drained" ? does("Use again", actions.undrain(name)) : does("Drain…", actions.drain(name)),
      does("It is down…", actions.confirmDown(name)),
      does("Drill…", drill(`host:${name}`)),
      does("Note…", note({ host: name })),
      logsButton("Logs", name),
    ),
    plot(historyOf(name), one.limit, now()),
    el(
      "dl",
      {},
      row("Reserved", `${Math.round(one.reserved)} of ${percent(one.limit)}`),
      row("Holds", one.instances.length ? listing(one.instances, 40) : "nothing"),
      readiness
        ? row(
            "If it died",
            readiness.why ||
              (readiness.moves ? `${readiness.moves} would move, and find a place` : "nothing would move"),
          )
        : null,
      ...services.map((service) =>
        row(
          service.label,
          state(service.hosts[name].state),
          service.hosts[name].why ? ` ${service.hosts[name].why}` : "",
        ),
      ),
      ...machine(one),
      row("Seen", one.at ? `${clock(one.at)} (${ago(one.at)} ago)` : "never"),
      one.left_behind.length ? row("If only cut off", `${listing(one.left_behind, 20)} may still run there`) : null,
      one.drift.length ? row("Drift", listing(one.drift, 20)) : null,
      one.foreign.length ? row("Foreign files", listing(one.foreign, 20)) : null,
    ),
  ];
}
