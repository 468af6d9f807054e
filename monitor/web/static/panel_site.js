// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The panel about the site and its monitor.

import * as items from "./actions.js";
import * as actions from "./actions_site.js";
import { el } from "./dom.js";
import { logsButton } from "./logs.js";
import { model } from "./model.js";
import { does, row, state } from "./panel_kit.js";
import { listing } from "./words.js";

export function sitePanel() {
  const { monitor, pauses, stopped } = model.status;
  const paused = (pauses || []).some((pause) => pause.key === "site");
  const intents = monitor.intents || [];
  return [
    el(
      "div",
      { class: "buttons" },
      does(paused ? "Resume" : "Pause…", paused ? items.resume(null) : items.pause(null)),
      does("Repair what differs…", actions.reconcile()),
      does("Even out the load…", actions.rebalance()),
      does("Note…", actions.note()),
      logsButton("Monitor's log", "monitor"),
      stopped ? does("Start the site…", actions.siteStart()) : does("Stop the site…", actions.siteStop()),
    ),
    el(
      "dl",
      {},
      row("If one died", model.status.readiness.says || "N-1 met: any one server can be lost, all it held finds a place"),
      model.status.exclusion ? row("Exclusion", model.status.exclusion.says) : null,
      row("Monitor", state(monitor.state), ` process ${monitor.pid || "unknown"}`),
      row("Standby run", monitor.standby || "none"),
      row("Revision", `${model.status.revision} of the ledger`),
      row(
        "At work on",
        intents.length
          ? listing(
              intents.map((intent) => `${intent.instance} (${intent.why || intent.kind || intent.what || "asked"})`),
              20,
            )
          : "nothing",
      ),
      row(
        "You",
        `${model.caller.who} from ${model.caller.host || "no host of this site"}; you may ${listing(model.caller.may)}`,
      ),
    ),
  ];
}
