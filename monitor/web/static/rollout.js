// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The panel about the rollout: how far it is, what has which configuration, why it stopped, and what may become of it.

import { el } from "./dom.js";
import { ago, clock, listing } from "./words.js";

const LIVE = ["running", "paused", "stopped"];
const KINDS = { running: "warn", paused: "warn", stopped: "bad", aborted: "off", done: "good" };

const wish = (verb, text, danger, ...what) => ({
  title: `${text} the rollout?`,
  verb: text,
  danger,
  about: "rollout",
  request: { kind: `rollout_${verb}` },
  what: () => what.filter(Boolean),
});

function wishes(one) {
  const left = one.waiting.length ? `${listing(one.waiting, 8)} keep what they run with.` : "";
  return [
    {
      ...wish("pause", "Pause", false, "No further batch begins until it is resumed.", left),
      no: one.state === "running" ? "" : "It does not go on now.",
    },
    {
      ...wish("resume", "Resume", true, "What failed is tried again first.", "Then it goes on, batch by batch."),
      no: ["paused", "stopped", "aborted"].includes(one.state) ? "" : "It goes on already, or is done.",
    },
    {
      ...wish("abort", "Abort", true, "It ends here.", left),
      no: LIVE.includes(one.state) ? "" : "It is over.",
    },
    {
      ...wish("revert", "Revert", true, `${listing(one.reached, 8)} go back to what they ran with, in batches.`),
      no: one.back ? "It goes back already." : one.reached.length ? "" : "It has reached nothing.",
    },
  ];
}

/** The word for a batch. */
function stage(one, number) {
  if (one.state === "done" || number < one.batch) return one.back ? "has gone back" : "reached";
  return number === one.batch ? "under way" : "waits";
}

function instance(one, name) {
  const reached = one.reached.includes(name);
  const has = one.failed[name]
    ? `failed: ${one.failed[name]}${one.returned.includes(name) ? "; it went back" : ""}`
    : reached === one.back
      ? "the former configuration"
      : "the new configuration";
  return el("li", { data: { instance: name, fits: String(!one.failed[name]) } }, el("b", { text: name }), ` ${has}`);
}

/** Its parts; `tools` are those of the other panels. */
export function rollout(one, { does, row, state }) {
  const all = one.batches.flat().length;
  const through = one.state === "done" ? all : one.batches.slice(0, Math.max(0, one.batch - 1)).flat().length;
  return [
    el(
      "p",
      { class: "line" },
      state(one.state, KINDS[one.state]),
      el("span", { class: "since", text: `since ${clock(one.since)} (${ago(one.since)})` }),
    ),
    one.reason ? el("p", { class: "cause", text: one.reason }) : null,
    el("progress", { max: all, value: through, "aria-label": `${through} of ${all} instances are through` }),
    el("div", { class: "buttons" }, ...wishes(one).map((each) => does(each.verb, each, "", each.no))),
    el(
      "dl",
      {},
      row("Through", `${through} of ${all} instances`),
      row("Batch", one.batch ? `${one.batch} of ${one.batches.length}` : `none yet of ${one.batches.length}`),
      row("By", `${one.by || "somebody"}${one.why ? `: ${one.why}` : ""}`),
    ),
    ...one.batches.map((batch, at) =>
      el(
        "section",
        { class: "instance", data: { batch: at + 1 } },
        el("h3", { text: `Batch ${at + 1}: ${stage(one, at + 1)}` }),
        el("ul", { class: "candidates" }, ...batch.map((name) => instance(one, name))),
      ),
    ),
  ];
}
