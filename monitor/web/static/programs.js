// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The panel of programs: what each program of an instance uses now, and requests about a single one.

import { get, Refused } from "./api.js";
import { want } from "./ask.js";
import { closed, opened, tellDialog } from "./dialogs.js";
import { by, button, el, setParts, setText } from "./dom.js";
import { showFigures } from "./figures.js";
import { showLogs } from "./logs.js";
import { model, noAct } from "./model.js";
import { ago, clock } from "./words.js";

const EVERY = 3000; // ms between two looks
const COLUMNS = ["Program", "State", "Since", "Processor", "Memory", "Threads", "Files", "Restarts", ""];
const TOLD = "The signal goes to the process that was started. A program that does not handle it ends, which is a crash.";
const SIGNAL = {
  fields: ["signal"],
  labels: { signal: "Signal (HUP, USR1, USR2, ...)" },
  must: { signal: "Say which signal, for example HUP." },
};
let shown = ""; // the instance
let timer = 0;

export const programsButton = (name) => button("Programs", () => showPrograms(name), { no: noAct() });

export function beginPrograms() {
  tellDialog("programs", { open: showPrograms, close: () => by("programs").close(), name: () => shown });
}

export function showPrograms(name) {
  if (noAct()) return;
  const dialog = by("programs");
  shown = name;
  dialog.replaceChildren(
    el(
      "div",
      { class: "title" },
      el("h2", { id: "programs-title", text: `Programs of ${name}` }),
      button("✕", () => dialog.close(), { class: "away", "aria-label": "Close the programs (Escape)" }),
    ),
    el("p", { id: "programs-why", class: "cause", role: "status" }),
    el("table", {}, el("thead", {}, el("tr", {}, ...COLUMNS.map((text) => el("th", { scope: "col", text })))), el("tbody", { id: "programs-list" })),
    el("section", { id: "programs-past", "aria-live": "polite" }),
  );
  dialog.onclose = () => {
    clearTimeout(timer);
    shown = "";
    closed("programs");
  };
  if (!dialog.open) dialog.showModal();
  opened("programs", name);
  look(name);
}

async function look(name) {
  clearTimeout(timer);
  let why = "";
  try {
    const { programs, silent } = await get(`/programs?name=${encodeURIComponent(name)}`);
    if (shown !== name) return;
    why = Object.values(silent).join("; ");
    const off = ((model.status.instances[name] || {}).wanted || {}).without || {};
    if (!why) setParts(by("programs-list"), JSON.stringify([programs, off]), () => programs.map((one) => row(one, off)));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    why = error.message;
  }
  if (shown !== name) return;
  setText(by("programs-why"), why);
  timer = setTimeout(() => look(name), EVERY);
}

function row(one, off) {
  const whole = (value) => (value === null ? "–" : String(value));
  const runs = one.state === "running";
  const name = `${one.instance}/${one.program}`;
  const alone = one.kind !== "bus" && one.kind !== "gate"; // those go with their instance only
  const signal = runs && one.kind !== "gate" ? [asks("Signal", "signal", name, TOLD, SIGNAL)] : [];
  const requests = runs
    ? [
        asks("Restart", "restart", name, `${one.program} stops and starts again; the other programs run on.`),
        asks("Stop", "stop", name, `${one.program} stops and stays stopped, over restarts, until somebody starts it.`),
      ]
    : [asks("Start", "start", name, `${one.program} starts; the other programs run on.`)];
  return el(
    "tr",
    {},
    el("th", { scope: "row", text: one.kind === "lasting" ? one.program : `${one.program} (${one.kind})` }),
    el("td", { text: off[one.program] || (runs ? (one.given ? `running, with ${one.given}` : "running") : one.how || one.state) }),
    el("td", { text: one.since ? `${clock(one.since)} (${ago(one.since)})` : "–" }),
    el("td", { text: runs ? `${one.cpu.toFixed(1)} %` : "–" }),
    el("td", { text: runs ? `${(one.memory / 1048576).toFixed(1)} MiB` : "–" }),
    el("td", { text: whole(one.threads) }),
    el("td", { text: whole(one.files) }),
    el("td", { text: whole(one.restarts) }),
    el(
      "td",
      { class: "buttons" },
      ...(one.kind === "gate" ? [] : [button("Over time", () => showFigures(by("programs-past"), one.instance, one.program), {
        "aria-label": `What ${one.program} used over time`,
      })]),
      button("Log", () => showLogs(one.instance, one.program), { "aria-label": `Log of ${one.program}` }),
      ...(alone ? requests : []),
      ...signal,
    ),
  );
}

const asks = (verb, kind, name, text, more = {}) =>
  button(verb, () =>
    want({
      title: `${verb} ${name}?`,
      verb,
      about: name,
      danger: kind !== "start",
      request: { kind, instances: [name] },
      what: () => [text],
      ...more,
    }), { "aria-label": `${verb} ${name.split("/")[1]}` },
  );
