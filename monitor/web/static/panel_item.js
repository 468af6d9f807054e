// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The panel about one item: all facts, every request about it, and its last day.

import * as actions from "./actions.js";
import { drill, note } from "./actions_site.js";
import { get, Refused } from "./api.js";
import { button, el, shape } from "./dom.js";
import { logsButton } from "./logs.js";
import { instancesOf, isOpen, model, noOpen } from "./model.js";
import { does, row, state } from "./panel_kit.js";
import { pastOf } from "./past.js";
import { programsButton } from "./programs.js";
import { ago, clock, listing, percent } from "./words.js";

const VERDICT_WORDS = { "holds it": "holds it", fits: "fits" };
let explained = null; // {id, applications, error?}: why its instances are where they are
let redraw = () => {};
export const onExplained = (handler) => (redraw = handler);

/** What the panel of an item depends on besides the status. */
export const answerAbout = (id) => (explained && explained.id === id ? explained : null);

export function itemPanel(one) {
  const id = one.item;
  const here = instancesOf(id).some(
    (instance) => instance.on_request && instance.host === model.caller.console && isOpen(instance),
  );
  const no = noOpen(one) || (here ? `It is open here, on ${model.caller.console}.` : "");
  return [
    el(
      "p",
      { class: "line" },
      state(one.word || one.verdict),
      el("span", { class: "since", text: one.since ? `since ${clock(one.since)} (${ago(one.since)})` : "" }),
    ),
    one.cause ? el("p", { class: "cause", text: one.cause }) : null,
    el(
      "div",
      { class: "buttons" },
      does("Open here", actions.open(id), "o", no),
      does("Close", actions.close(id), "c"),
      does("Start", actions.start(id), "s"),
      does("Stop", actions.stop(id), "x"),
      does("Restart", actions.restart(id), "r"),
      does("Reset", actions.reset(id), "e"),
      does("Drill…", drill(`item:${id}`)),
      does("Note…", note({ item: id })),
      does(one.paused ? "Resume" : "Pause", actions.pause(id), "p"),
    ),
    no ? el("p", { class: "hint", text: no }) : null,
    ...instancesOf(id).map(instanceNode),
    el(
      "div",
      { class: "buttons" },
      button("Why there?", () => explain(id), { "aria-expanded": String(Boolean(answerAbout(id))) }),
    ),
    pastOf(id),
    ...(answerAbout(id) ? explainedNodes() : []),
  ];
}

function instanceNode(instance) {
  const programs = Object.entries(instance.programs || {});
  const lacks = [...(instance.missing || []), ...Object.keys(instance.failed || {})];
  const wanted = instance.wanted;
  const left = Object.entries((wanted || {}).without || {}); // programs that people stopped
  const word = instance.on_request && !isOpen(instance) && instance.state === "stopped" ? "not open" : instance.state;
  return el(
    "section",
    { class: "instance" },
    el("h3", {}, instance.name, " ", state(word, word === "not open" ? "off" : undefined)),
    el(
      "dl",
      {},
      instance.host
        ? row("On", `${instance.host} (${instance.address})`, instance.target ? `, moving to ${instance.target}` : "")
        : null,
      (instance.left_behind || []).length
        ? row("Second copy", `may still run on ${listing(instance.left_behind, 5)}, if that is only cut off`)
        : null,
      instance.since && instance.host
        ? row("Since", `${clock(instance.since)} (${ago(instance.since)}), epoch ${instance.epoch}`)
        : null,
      wanted
        ? row("Wanted", `${wanted.state} by ${wanted.by}${wanted.why ? `: ${wanted.why}` : ""}, ${clock(wanted.at)}`)
        : null,
      instance.bus
        ? row(
            "Bus",
            state(instance.bus.health),
            ` since ${clock(instance.bus.since)}${instance.bus.why ? `: ${instance.bus.why}` : ""}`,
          )
        : null,
      programs.length
        ? row(
            "Runs",
            listing(
              programs.map(([name]) => name),
              20,
            ),
            " ",
            logsButton("Logs", instance.name),
            " ",
            programsButton(instance.name),
          )
        : null,
      Object.keys(instance.given || {}).length
        ? row("Given", ...Object.entries(instance.given).map(([name, how]) => el("span", { class: "lack", text: `${name}: ${how}` })))
        : null,
      left.length
        ? row("Left out", ...left.map(([name, how]) => el("span", { class: "lack", text: `${name}: ${how}` })))
        : null,
      lacks.length
        ? row(
            "Lacks",
            ...lacks.map((name) =>
              el(
                "span",
                { class: "lack" },
                shape("bad"),
                logsButton(name, instance.name, name, { title: `Logs of ${name}` }),
                (instance.failed || {})[name] ? `: ${instance.failed[name]}` : "",
              ),
            ),
          )
        : null,
      instance.deferred.length ? row("Waits for", listing(instance.deferred)) : null,
      instance.pending ? row("Configuration", instance.pending.says) : null,
      instance.failures
        ? row("Failures", `${instance.failures} of ${instance.failure_budget}${instance.reason ? `: ${instance.reason}` : ""}`)
        : null,
      typeof instance.cpu === "number"
        ? row("Load", `processor ${percent(instance.cpu)}, memory ${percent(instance.memory)}`)
        : null,
    ),
  );
}

async function explain(id) {
  if (explained && explained.id === id) explained = null;
  else {
    try {
      explained = { id, ...(await get(`/explain/${encodeURIComponent(id)}`)) };
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      explained = { id, applications: [], error: error.message };
    }
  }
  redraw();
}

function explainedNodes() {
  if (explained.error) return [el("p", { class: "cause", text: explained.error })];
  return explained.applications.map((one) =>
    el(
      "section",
      { class: "instance" },
      el("h3", { text: `${one.instance}: ${one.where}` }),
      el("p", { text: `${one.rule}.` }),
      el(
        "ul",
        { class: "candidates" },
        ...one.candidates.map((candidate) =>
          el(
            "li",
            { data: { fits: String(candidate.fits) } },
            el("b", { text: `${candidate.host}: ${VERDICT_WORDS[candidate.verdict] || candidate.verdict}` }),
            ` ${candidate.why}`,
          ),
        ),
      ),
    ),
  );
}
