// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The panel of logs: what the programs of an item, an instance or a host write, followed or looked up.

import { get, Refused } from "./api.js";
import { closed, opened, tellDialog } from "./dialogs.js";
import { by, button, el, setParts, setText } from "./dom.js";
import { instancesOf, noAct } from "./model.js";
import { clock, now } from "./words.js";

const LINES = 300; // that a panel begins with
const DOWNLOADED = 10000;
const KEPT = 4000; // lines in the panel
const AGAIN = 2000; // ms until a stream that was refused is tried again

let panel = null; // {name, program, following, previous, word, source, sources, waiting, drawing, again}

/** A button that opens the panel; `no`: who only looks may not read logs. */
export const logsButton = (text, name, program = "", facts = {}) =>
  button(text, () => showLogs(name, program), { class: "log", ...facts, no: noAct() });

/** By its address: NAME or NAME/PROGRAM. */
export function beginLogs() {
  tellDialog("logs", {
    open: (text) => showLogs(...text.split("/")),
    close: () => by("logs").close(),
    name: () => (panel ? placeOf(panel) : ""),
  });
}

const placeOf = ({ name, program }) => (program ? `${name}/${program}` : name);

export function showLogs(name, program = "") {
  if (noAct()) return;
  const dialog = by("logs");
  if (panel) halt();
  panel = { name, program, following: true, previous: false, word: "", sources: [], waiting: [], drawing: 0, again: 0 };
  dialog.replaceChildren(...parts());
  dialog.onclose = end;
  if (!dialog.open) dialog.showModal();
  opened("logs", placeOf(panel));
  by("logs-lines").focus();
  begin();
}

function parts() {
  const find = el("input", { type: "search", id: "logs-find", autocomplete: "off", spellcheck: "false" });
  find.addEventListener("input", () => {
    panel.word = find.value;
    for (const line of by("logs-lines").children) mark(line);
    count();
  });
  return [
    el(
      "div",
      { class: "title" },
      el("h2", { id: "logs-title" }),
      button("✕", () => by("logs").close(), { class: "away", "aria-label": "Close the logs (Escape)" }),
    ),
    el("div", { id: "logs-programs", class: "chips", role: "group", "aria-label": "Only the program" }),
    el(
      "div",
      { class: "buttons", role: "toolbar", "aria-label": "What is shown" },
      button("Follow", follow, { id: "logs-follow", class: "chip" }),
      button("Before the last start", before, { id: "logs-previous", class: "chip" }),
      button("Last failure", failed, { id: "logs-failed", class: "chip" }),
      el("label", { class: "filter" }, "Find ", find),
      el("span", { id: "logs-count", role: "status" }),
      el("span", { class: "grow" }),
      button("Download", download),
    ),
    el("p", { id: "logs-why", class: "cause", role: "status" }),
    el("ol", { id: "logs-lines", class: "scroll", tabindex: 0, "aria-label": "Lines, the newest last" }),
  ];
}

const path = (more) => {
  const query = new URLSearchParams(more);
  if (panel.program) query.set("program", panel.program);
  return `/logs/${encodeURIComponent(panel.name)}${more.stream ? "/stream" : ""}?${without(query, "stream")}`;
};

function without(query, name) {
  query.delete(name);
  return query;
}

/** Show what is chosen from its beginning. */
function begin(ask = true) {
  halt();
  panel.sources = [];
  by("logs-lines").replaceChildren();
  setText(by("logs-why"), "");
  draw();
  if (!ask) return;
  if (panel.following) open();
  else look();
}

function open() {
  const mine = panel;
  const source = (panel.source = new EventSource(`/api/v1${path({ lines: LINES, stream: 1 })}`));
  source.addEventListener("sources", (event) => take(mine, { sources: JSON.parse(event.data) }));
  source.addEventListener("lines", (event) => take(mine, { lines: JSON.parse(event.data) }));
  source.addEventListener("over", (event) => say(mine, JSON.parse(event.data).why));
  source.addEventListener("error", async () => {
    if (mine !== panel || mine.source !== source || source.readyState !== EventSource.CLOSED) return;
    mine.source = null;
    await look(0); // says why it is refused
    if (mine === panel && mine.following) mine.again = setTimeout(begin, AGAIN);
  });
}

async function look(lines = LINES) {
  const mine = panel;
  try {
    take(mine, await get(path(mine.previous ? { lines, previous: 1 } : { lines })));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    say(mine, error.message);
  }
}

function halt() {
  if (panel.source) panel.source.close();
  clearTimeout(panel.again);
  Object.assign(panel, { source: null, waiting: [] });
}

function end() {
  if (!panel) return;
  halt();
  panel = null;
  by("logs").replaceChildren();
  closed("logs");
}

function say(mine, why) {
  if (mine === panel) setText(by("logs-why"), why);
}

function take(mine, { sources, lines }) {
  if (mine !== panel) return;
  if (sources) panel.sources = sources;
  if (lines && lines.length) {
    setText(by("logs-why"), "");
    panel.waiting.push(...lines);
    if (panel.waiting.length > KEPT) panel.waiting.splice(0, panel.waiting.length - KEPT);
  }
  if (!panel.drawing) panel.drawing = requestAnimationFrame(draw);
}

function draw() {
  if (!panel) return;
  panel.drawing = 0;
  setText(by("logs-title"), `Logs of ${panel.name}${panel.program ? `: ${panel.program}` : ""}`);
  by("logs-follow").setAttribute("aria-pressed", String(panel.following));
  by("logs-previous").setAttribute("aria-pressed", String(panel.previous));
  drawPrograms();
  const list = by("logs-lines");
  const last = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  const fresh = panel.waiting.splice(0).map(made);
  list.append(...fresh);
  while (list.children.length > KEPT) list.firstChild.remove();
  if (fresh.length && (last || list.children.length === fresh.length)) list.scrollTop = list.scrollHeight;
  count();
}

function drawPrograms() {
  if (!panel.programs || !panel.program) panel.programs = [...new Set(panel.sources.map((one) => one.program))];
  const names = panel.program && !panel.programs.includes(panel.program) ? [panel.program] : panel.programs;
  setParts(by("logs-programs"), JSON.stringify([names, panel.program]), () =>
    ["", ...names].map((name) =>
      button(name || "all", () => choose(name), { class: "chip", "aria-pressed": String(panel.program === name) }),
    ),
  );
}

function choose(program) {
  panel.program = program;
  if (!program) panel.programs = null;
  opened("logs", placeOf(panel), false);
  begin();
}

function follow() {
  panel.following = !panel.following;
  panel.previous = false;
  if (panel.following) begin();
  else {
    halt();
    draw();
  }
}

function before() {
  panel.previous = !panel.previous;
  panel.following = !panel.previous;
  begin();
}

/** What was kept when one of its programs failed last. */
async function failed() {
  Object.assign(panel, { following: false, previous: false, program: "" });
  begin(false);
  const mine = panel;
  const own = instancesOf(mine.name).map((one) => one.name);
  try {
    const lists = await Promise.all(
      (own.length ? own : [mine.name]).map((name) => get(`/last-words?limit=1&instance=${encodeURIComponent(name)}`)),
    );
    const [newest] = lists.flatMap((list) => list.last_words).sort((a, b) => b.at - a.at);
    if (!newest) return say(mine, "Nothing is kept of a failure.");
    take(mine, await get(`/last-words/${encodeURIComponent(newest.id)}`));
    const core = newest.core ? `, core file ${newest.core} on ${newest.host}` : "";
    say(mine, `${clock(newest.at)} ${newest.program} of ${newest.instance} on ${newest.host}: ${newest.how}${core}`);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    say(mine, error.message);
  }
}

function made(line) {
  const source = panel.sources[line.source] || { program: "", instance: "", host: "" };
  const several = panel.sources.length > 1;
  const node = el(
    "li",
    { class: line.note ? "note" : null, data: { source: line.source } },
    el("time", { text: line.at && !line.about ? clock(line.at) : "" }),
    several ? el("b", { text: source.program, title: `${source.instance || source.host} on ${source.host}` }) : null,
    el("span", { class: "text" }),
  );
  node.words = line.note || `${line.text}${line.cut ? ` … (${line.cut} bytes more)` : ""}`;
  mark(node);
  return node;
}

/** Hide a line that has not the word that is looked for, else show where it has it. */
function mark(node) {
  const text = node.querySelector(".text");
  const { words } = node;
  const at = panel.word ? words.toLowerCase().indexOf(panel.word.toLowerCase()) : -1;
  node.hidden = Boolean(panel.word) && at < 0;
  if (at < 0) setText(text, words);
  else {
    const to = at + panel.word.length;
    text.replaceChildren(words.slice(0, at), el("mark", { text: words.slice(at, to) }), words.slice(to));
  }
}

function count() {
  const lines = [...by("logs-lines").children];
  const shown = lines.filter((line) => !line.hidden).length;
  setText(by("logs-count"), panel.word ? `${shown} of ${lines.length} lines` : `${lines.length} lines`);
}

async function download() {
  const mine = panel;
  try {
    const { sources, lines } = await get(path(mine.previous ? { lines: DOWNLOADED, previous: 1 } : { lines: DOWNLOADED }));
    const text = lines.map(({ source, at, text: words, note }) => {
      const { host, instance, program } = sources[source];
      const when = at ? new Date(at * 1000).toISOString() : "-";
      return `${when} ${host} ${instance ? `${instance}/` : ""}${program} ${note ? `(muster: ${note})` : words}\n`;
    });
    const link = el("a", {
      href: URL.createObjectURL(new Blob(text, { type: "text/plain" })),
      download: `${mine.name}${mine.program ? `_${mine.program}` : ""}_${new Date(now() * 1000).toISOString().slice(0, 19).replaceAll(":", "")}.log`,
    });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    say(mine, error.message);
  }
}
