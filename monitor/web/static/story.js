// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The trail, newest first, and the list of what needs attention until it is acknowledged.

import { acknowledge, resolve } from "./actions.js";
import { want } from "./ask.js";
import { by, button, el, setParts, setText, shape } from "./dom.js";
import { model, noAct } from "./model.js";
import { clock } from "./words.js";

const KEPT = 300;
const BAD = /fail|refus|not confirmed|does not|quarantin|conflict|down\b/i;
let newest = 0;

/** A row of the trail. */
export function tellStory(entry) {
  if (entry.id <= newest) return;
  newest = entry.id;
  const list = by("story-list");
  const bad = BAD.test(entry.result || "") || /failed/.test(entry.what);
  list.prepend(
    el(
      "li",
      { class: bad ? "bad" : null, data: { id: entry.id, instance: entry.instance || "" } },
      el("time", { text: clock(entry.at), datetime: new Date(entry.at * 1000).toISOString() }),
      el(
        "div",
        {},
        el("p", { class: "did" }, bad ? shape("bad") : null, entry.what),
        entry.why ? el("p", { class: "why", text: entry.why }) : null,
        el("p", {
          class: "who",
          text: `${entry.who}${entry.from ? ` from ${entry.from}` : ""}${entry.run ? ` · run ${entry.run}` : ""}`,
        }),
      ),
    ),
  );
  while (list.children.length > KEPT) list.lastChild.remove();
}

/** Conflicts, failures, drift, pauses and the monitor's remarks. */
export function drawAttention() {
  const { conflicts = [], failures = [], drift = [], pauses = [], moves = [], monitor } = model.status;
  const open = [...conflicts.filter((one) => !one.acknowledged), ...failures.filter((one) => !one.acknowledged)];
  const notes = monitor.notes || [];
  const count = conflicts.length + failures.length + drift.length + notes.length;
  setText(by("attention-title"), count ? `Attention: ${count}` : "Attention");
  const all = by("acknowledge-all");
  all.hidden = open.length < 2;
  all.onclick = () => want(acknowledge(open.map((one) => one.id)));
  setParts(by("attention-list"), JSON.stringify([conflicts, failures, drift, pauses, moves, notes, noAct()]), () => {
    const parts = [...conflicts.map(conflictNode), ...failures.map(failureNode)];
    parts.push(...drift.map((one) => notice("warn", "drift", one.why, one.since, [], one.id)));
    parts.push(...notes.map((text) => notice("warn", "remark", text, 0, [], text)));
    parts.push(...moves.map((move) => notice("off", "move", move.says, move.at, [], `move ${move.instance}`)));
    parts.push(...pauses.map((pause) => notice("off", "paused", pause.says, pause.at, [], pause.key)));
    return parts.length
      ? parts
      : [
          el("p", {
            class: "nothing",
            text: "Nothing. Failed actions and conflicts stay here until they are acknowledged.",
          }),
        ];
  });
}

function notice(kind, word, text, since, buttons, id) {
  return el(
    "article",
    { class: "notice", data: { kind, id } },
    el("p", { class: "head" }, shape(kind), el("b", { text: word }), since ? el("time", { text: clock(since) }) : null),
    el("p", { class: "text", text }),
    el("div", { class: "buttons" }, ...buttons),
  );
}

const seen = (id) => button("Acknowledge", () => want(acknowledge([id])), { no: noAct() });

function conflictNode(conflict) {
  const over = conflict.open ? "" : " It is over.";
  const whose = conflict.acknowledged ? ` Acknowledged by ${conflict.acknowledged.by}.` : "";
  const keep = conflict.open
    ? conflict.hosts.map((host) => button(`Keep ${host}`, () => want(resolve(conflict, host)), { no: noAct() }))
    : [];
  const buttons = [...(conflict.acknowledged ? [] : [seen(conflict.id)]), ...keep];
  return notice(
    conflict.open ? "bad" : "warn",
    "conflict",
    `${conflict.why}.${over}${whose}`,
    conflict.since,
    buttons,
    conflict.id,
  );
}

function failureNode(failure) {
  const often = failure.count > 1 ? ` (${failure.count} times)` : "";
  return notice(
    "bad",
    "failed",
    `${failure.instance} on ${failure.host}${often}: ${failure.why}`,
    failure.at,
    [seen(failure.id)],
    failure.id,
  );
}

/** The lines across the page, about the whole site. */
export function drawBands(staleSince) {
  const bands = [];
  const { monitor, pauses = [], rollout = null, stopped } = model.status || { monitor: {} };
  if (model.stale)
    bands.push([
      "stale",
      "unknown",
      model.unread ? "The monitor cannot read the status" : "No word from the monitor",
      `since ${clock(staleSince)}. This page shows the state of that time, and nothing can be done from here.`,
    ]);
  if (monitor.storm) bands.push(["storm", "bad", "Storm: nothing is acted on", monitor.storm]);
  if (monitor.no_runs)
    bands.push([
      "no-runs",
      "bad",
      "The monitor cannot run playbooks: nothing is restarted by itself",
      `since ${clock(monitor.no_runs.since)}: ${monitor.no_runs.why}`,
    ]);
  if (monitor.state && monitor.state !== "running")
    bands.push(["monitor", "bad", `The monitor is ${monitor.state}`, "Nothing is restarted by itself."]);
  if (stopped) bands.push(["site-stopped", "warn", "The whole site is stopped", stopped.says]);
  for (const pause of pauses.filter((one) => one.key === "site")) bands.push(["paused", "warn", "Paused", pause.says]);
  if (rollout) bands.push(["rollout", rollout.state === "stopped" ? "bad" : "warn", "Rollout", rollout.says]);
  setParts(by("bands"), JSON.stringify(bands), () =>
    bands.map(([id, kind, word, text]) =>
      el(
        "p",
        { class: `band ${kind}`, data: { band: id } },
        shape(kind),
        el("b", { text: word }),
        el("span", { text }),
      ),
    ),
  );
}
