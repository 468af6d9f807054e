// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// One row of the matrix.

import { open } from "./actions.js";
import { want } from "./ask.js";
import { button, el, setAttr, setParts, setText, shape } from "./dom.js";
import { logsButton } from "./logs.js";
import { instancesOf, isOpen, model, needsLook, noOpen } from "./model.js";
import { ago, clock, day, isNormal, kindOf, now } from "./words.js";

/** Give a row its node; `choose(id)`: show the item in full. */
export function makeRow(row, choose) {
  row.node = el("div", { role: "row", class: "item", tabindex: -1, data: { item: row.id } });
  row.choose = choose;
}

export const kindOfItem = (item) => kindOf(item.word || item.verdict);

export function markRow(row, item) {
  const { services, cause, verdict, word } = item;
  setAttr(row.node, "data-kind", kindOfItem(item));
  setAttr(row.node, "data-look", needsLook(item) ? "yes" : "no");
  const named = item.name ? ` ${item.name}` : "";
  const where = services.host ? ` on ${services.host}` : "";
  setAttr(row.node, "aria-label", `Item ${item.item}${named}: ${word || verdict}${where}${cause ? `, ${cause}` : ""}`);
}

function fill(row) {
  const { id } = row;
  const parts = {
    name: el("span", { class: "name" }),
    mark: el("span", { class: "mark" }),
    word: el("b", { class: "word" }),
    since: el("span", { class: "since" }),
    services: el("div", { role: "gridcell", class: "services" }),
    windows: el("div", { role: "gridcell", class: "windows" }),
    buses: el("div", { role: "gridcell", class: "buses" }),
    open: button("Open here", () => want({ ...open(id), no: parts.open.no }), { class: "open", tabindex: -1 }),
    more: button("More…", () => row.choose(id), { class: "more", tabindex: -1, "aria-label": `More about item ${id}` }),
    log: logsButton("Log", id, "", { tabindex: -1, hidden: true, "aria-label": `Logs of item ${id}` }),
    cause: el("div", { role: "gridcell", class: "cause" }),
  };
  row.parts = parts;
  row.node.replaceChildren(
    el("div", { role: "rowheader", class: "called" }, el("span", { class: "id", text: id }), parts.name),
    el("div", { role: "gridcell", class: "verdict" }, parts.mark, parts.word, parts.since),
    parts.services,
    parts.windows,
    parts.buses,
    el("div", { role: "gridcell", class: "do" }, parts.open, parts.more),
    parts.log,
    parts.cause,
  );
}

/** The buttons of the row that has the focus are reached by Tab, those of the others are not. */
export function setReach(row, reached) {
  const tab = reached ? 0 : -1;
  setAttr(row.node, "tabindex", tab);
  if (row.parts) for (const inner of [row.parts.open, row.parts.more, row.parts.log]) setAttr(inner, "tabindex", tab);
}

export function drawRow(row, item, reached) {
  if (!row.parts) {
    fill(row);
    setReach(row, reached);
  }
  const { parts } = row;
  const kind = kindOfItem(item);
  setText(parts.name, item.name || "");
  setText(parts.word, item.word || item.verdict);
  parts.log.hidden = !needsLook(item);
  setParts(parts.mark, kind, () => [shape(kind)]);
  row.at = item.since;
  drawTime(row);
  const instances = instancesOf(item.item);
  const windows = instances.filter((instance) => instance.on_request);
  const services = instances.filter((instance) => !instance.on_request);
  drawPlaces(parts.services, services, (instance) => instance.state);
  drawPlaces(parts.windows, windows, (instance) =>
    isOpen(instance) || instance.state === "failed" ? instance.state : "not open",
  );
  const buses = busesOf(services, windows);
  setParts(parts.buses, JSON.stringify(buses), () =>
    buses.map((bus) =>
      el(
        "span",
        { class: "bus", title: bus.why || null, data: { kind: bus.kind } },
        shape(bus.kind),
        `${bus.name}${isNormal(bus.kind) ? "" : ` ${bus.word}`}`,
      ),
    ),
  );
  const busy = model.busy.get(item.item);
  const paused = item.paused ? "paused · " : "";
  setText(parts.cause, busy ? `${busy} …` : paused && !item.cause.includes("pause") ? paused + item.short : item.short);
  setAttr(parts.cause, "title", item.short === item.cause ? null : item.cause);
  setAttr(row.node, "data-busy", busy ? "yes" : null);
  drawOpen(parts.open, item, windows);
}

/** Since when: the hour within a day, else the day, so that it takes one line on every day. */
export function drawTime(row) {
  if (!row.parts) return;
  const { since } = row.parts;
  if (!row.at) setText(since, "");
  else setText(since, `since ${now() - row.at < 86400 ? clock(row.at, false, false) : day(row.at)} · ${ago(row.at)}`);
  setAttr(since, "title", row.at ? `since ${clock(row.at)}` : null);
}

function drawOpen(node, item, windows) {
  const here = windows.find((instance) => isOpen(instance) && instance.host === model.caller.console);
  const taken = windows.find((instance) => isOpen(instance) && instance.host !== model.caller.console);
  setText(node, taken && model.caller.console ? "Take over…" : "Open here");
  const no =
    noOpen(item) ||
    (!windows.length ? "This item has no windows." : "") ||
    (here ? `It is open here, on ${here.host}.` : "");
  setAttr(node, "aria-disabled", no ? "true" : null);
  setAttr(node, "title", no || `Open item ${item.item} on ${model.caller.console}`);
  node.no = no;
}

function drawPlaces(cell, instances, wordOf) {
  const shownOnes = instances.map((instance) => [
    instance.state === "waiting" ? "" : instance.host || "",
    wordOf(instance),
    instance.name,
    instance.target,
  ]);
  setParts(cell, JSON.stringify(shownOnes), () =>
    shownOnes.map(([host, word, name, target]) => {
      const kind = word === "not open" ? "off" : kindOf(word);
      return el(
        "span",
        { class: "place", title: name, data: { kind } },
        isNormal(kind) ? null : shape(kind),
        el("b", { text: host || word }),
        host && word !== "running" ? el("small", { text: target ? `moving to ${target}` : word }) : null,
      );
    }),
  );
}

/** The buses an item lives on: of its services, of its windows, and the host services where they run. */
function busesOf(services, windows) {
  const found = [];
  for (const instance of [...services, ...windows]) {
    if (!instance.host || !instance.bus) continue;
    const name = instance.on_request ? "HCI" : "services";
    found.push({ name, kind: kindOf(instance.bus.health), word: instance.bus.health, why: instance.bus.why });
  }
  const host = (services.find((instance) => instance.host) || {}).host;
  for (const [service, entry] of Object.entries(model.status.services)) {
    const there = entry.hosts[host];
    if (!there) continue;
    const word = there.state === "stopped" ? "down" : there.state;
    found.push({
      name: service.startsWith("common") ? "common" : service,
      kind: kindOf(word),
      word: there.state,
      why: there.why,
    });
  }
  return found;
}
