// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Drills: what a person has said is an exercise, until when, and the alarms that belong to it. They make no sound.

import { endDrill } from "./actions_site.js";
import { want } from "./ask.js";
import { by, button, el, setParts, shape } from "./dom.js";
import { model, noAct } from "./model.js";
import { clock, span } from "./words.js";

export function drawDrills() {
  const { drills, alarms } = model.alarms;
  const all = drills.map((drill) => [drill, alarms.filter((alarm) => alarm.drill === drill.about)]);
  by("drills").hidden = !all.length;
  setParts(by("drills"), JSON.stringify([all, noAct()]), () => all.map(([drill, its]) => node(drill, its)));
}

function node(drill, its) {
  return el(
    "section",
    { class: "drill", data: { about: drill.about }, "aria-label": drill.says },
    el(
      "p",
      {},
      shape("off"),
      el("b", { text: "Drill" }),
      el("span", { class: "says", text: drill.says.replace(/^drill /, "") }),
      button("End the drill", () => want(endDrill(drill)), { no: noAct() }),
    ),
    el("ol", {}, ...(its.length ? its.map(line) : [el("li", { text: "No alarms yet." })])),
  );
}

const line = (alarm) =>
  el(
    "li",
    { data: { id: alarm.id } },
    el("b", { text: alarm.priority }),
    el("time", { text: clock(alarm.raised), datetime: new Date(alarm.raised * 1000).toISOString() }),
    el("span", { text: alarm.says }),
    el("span", { class: "state-word", text: alarm.cleared ? `over after ${span(alarm.cleared - alarm.raised)}` : "lasts" }),
  );
