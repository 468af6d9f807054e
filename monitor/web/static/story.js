// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The trail, newest first, and the list of what needs attention until it is acknowledged.

import { takeBack } from "./act.js";
import { acknowledge, resolve } from "./actions_site.js";
import { want } from "./ask.js";
import { show } from "./detail.js";
import { by, button, el, setParts, setText, shape } from "./dom.js";
import { logsButton } from "./logs.js";
import { model, noAct } from "./model.js";
import { clock, now } from "./words.js";

const KEPT = 300;
const BAD = /fail|refus|not confirmed|does not|quarantin|conflict|down\b/i;
const WAITS = 3; // s that a request may wait for its turn until it is listed
const LATE = 50; // newest entries that tell how far a request is
let newest = 0;
const late = [];

/** A row of the trail. */
export function tellStory(entry) {
  if (entry.id <= newest) return;
  newest = entry.id;
  late.push(entry);
  if (late.length > LATE) late.shift();
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
        bad && entry.instance ? logsButton("Log", entry.instance) : null,
      ),
    ),
  );
  while (list.children.length > KEPT) list.lastChild.remove();
}

/** What the trail said last about one of these instances or hosts after a moment; empty if nothing. */
export function latestAbout(names, since) {
  const found = late.filter((entry) => entry.at >= since && (names.includes(entry.instance) || names.includes(entry.host)));
  return found.length ? found[found.length - 1].what : "";
}

/** Conflicts to decide, drift, pauses and the monitor's remarks; failures are alarms. */
export function drawAttention() {
  const { conflicts = [], drift = [], pauses = [], moves = [], monitor } = model.status;
  const open = conflicts.filter((one) => !one.acknowledged);
  const notes = monitor.notes || [];
  const waiting = (model.status.requests || []).filter((one) => one.at < now() - WAITS); // not what is done at once
  const count = conflicts.length + drift.length + notes.length;
  setText(by("attention-title"), count ? `Attention: ${count}` : "Attention");
  const all = by("acknowledge-all");
  all.hidden = open.length < 2;
  all.onclick = () => want(acknowledge(open.map((one) => one.id)));
  setParts(by("attention-list"), JSON.stringify([conflicts, drift, pauses, moves, waiting, notes, noAct()]), () => {
    const parts = conflicts.map(conflictNode);
    parts.push(...drift.map((one) => notice("warn", "drift", one.why, one.since, [], one.id)));
    parts.push(...notes.map((text) => notice("warn", "remark", text, 0, [], text)));
    parts.push(...waiting.map((one) => notice("wait", "waits", one.says, one.at, [back(one)], one.id)));
    parts.push(...moves.map((move) => notice("off", "move", move.says, move.at, [], `move ${move.instance}`)));
    parts.push(...pauses.map((pause) => notice("off", "paused", pause.says, pause.at, [], pause.key)));
    return parts.length
      ? parts
      : [
          el("p", {
            class: "nothing",
            text: "Nothing to decide: no conflict, no drift, no pause.",
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

const back = (one) => button("Withdraw", () => takeBack(one.id, one.says), { no: noAct() });

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
        id === "rollout" ? button("Show", () => show("rollout")) : null,
      ),
    ),
  );
}
