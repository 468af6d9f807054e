// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The matrix: a row per item, in the site's order, so that an item is always found at the same place.

import { open } from "./actions.js";
import { want } from "./ask.js";
import { by, button, el, setAttr, setParts, setText, shape } from "./dom.js";
import { instancesByItem, isOpen, model, needsLook, noOpen } from "./model.js";
import { ago, clock, isNormal, kindOf, VERDICTS } from "./words.js";

const SIZES = ["large", "rows", "dense"];
const MANY = [6, 40]; // up to so many items they are large, or rows, unless the viewer chose

export const shown = { only: "", text: "", size: "", focus: "" };

let chosen = () => {};
let refresh = () => {};
const rows = new Map();

/** `choose(id)`: show an item in full. `change()`: the selection has changed. */
export function beginMatrix(choose, change) {
  chosen = choose;
  refresh = change;
  const matrix = by("matrix");
  matrix.addEventListener("keydown", walk);
  matrix.addEventListener("focusin", (event) => {
    const row = event.target.closest("[data-item]");
    if (row && shown.focus !== row.dataset.item) setFocus(row.dataset.item);
  });
  matrix.addEventListener("click", (event) => {
    const row = event.target.closest("[data-item]");
    if (row && !event.target.closest("button")) {
      row.focus();
      chosen(row.dataset.item);
    }
  });
  by("columns").append(...["Item", "Verdict", "Services", "HCI", "Buses", ""].map((text) => el("span", { text })));
}

export function drawMatrix() {
  const { items } = model.status;
  const size = shown.size || SIZES[MANY.findIndex((many) => items.length <= many)] || "dense";
  setAttr(by("items"), "data-size", size);
  setText(by("columns").lastChild, model.caller.console ? `here: ${model.caller.console}` : "this is no console");
  const instances = instancesByItem();
  const order = [];
  for (const item of items) {
    if (!rows.has(item.item)) rows.set(item.item, made(item.item));
    const row = rows.get(item.item);
    drawRow(row, item, instances.get(item.item) || []);
    if (fits(item)) order.push(row.node);
  }
  const known = new Set(items.map((item) => item.item));
  for (const id of [...rows.keys()]) if (!known.has(id)) rows.delete(id);
  place(order);
  setText(by("nothing"), order.length ? "" : emptyWords(items));
  by("nothing").hidden = order.length > 0;
  setText(by("shown"), order.length === items.length ? "" : `${order.length} of ${items.length} shown`);
  drawChips(items, size);
}

function emptyWords(items) {
  if (!items.length) return "The site has no items.";
  return shown.only === "look" && !shown.text
    ? "Nothing to look at: every item is as it should be."
    : "No item is like that.";
}

/** Put the rows in order and leave those alone that are in place, so that focus and scroll position stay. */
function place(order) {
  const matrix = by("matrix");
  const wanted = new Set(order);
  const focused = matrix.contains(document.activeElement);
  for (const node of [...matrix.children]) if (!wanted.has(node)) node.remove();
  order.forEach((node, position) => {
    if (matrix.children[position] !== node) matrix.insertBefore(node, matrix.children[position] || null);
  });
  if (order.length && !order.some((node) => node.dataset.item === shown.focus)) setFocus(order[0].dataset.item);
  else setFocus(shown.focus);
  if (focused && !matrix.contains(document.activeElement) && order.length) rows.get(shown.focus).node.focus();
}

function fits(item) {
  if (shown.only === "look" ? !needsLook(item) : shown.only && item.verdict !== shown.only) return false;
  const words = [item.item, item.verdict, item.services.host, item.hci.host, item.cause].join(" ").toLowerCase();
  return words.includes(shown.text.toLowerCase());
}

function made(id) {
  const parts = {
    mark: el("span", { class: "mark" }),
    word: el("b", { class: "word" }),
    since: el("span", { class: "since" }),
    services: el("div", { role: "gridcell", class: "services" }),
    windows: el("div", { role: "gridcell", class: "windows" }),
    buses: el("div", { role: "gridcell", class: "buses" }),
    open: button("Open here", () => want({ ...open(id), no: parts.open.no }), { class: "open", tabindex: -1 }),
    more: button("More…", () => chosen(id), { class: "more", tabindex: -1, "aria-label": `More about item ${id}` }),
    cause: el("div", { role: "gridcell", class: "cause" }),
  };
  const node = el(
    "div",
    { role: "row", class: "item", tabindex: -1, data: { item: id } },
    el("div", { role: "rowheader", class: "id", text: id }),
    el("div", { role: "gridcell", class: "verdict" }, parts.mark, parts.word, parts.since),
    parts.services,
    parts.windows,
    parts.buses,
    el("div", { role: "gridcell", class: "do" }, parts.open, parts.more),
    parts.cause,
  );
  return { node, ...parts };
}

function drawRow(row, item, instances) {
  const kind = kindOf(item.verdict);
  setAttr(row.node, "data-kind", kind);
  setAttr(row.node, "data-look", needsLook(item) ? "yes" : "no");
  setText(row.word, item.verdict);
  setParts(row.mark, kind, () => [shape(kind)]);
  setText(row.since, item.since ? `since ${clock(item.since, false)} · ${ago(item.since)}` : "");
  const windows = instances.filter((instance) => instance.on_request);
  const services = instances.filter((instance) => !instance.on_request);
  drawPlaces(row.services, services, (instance) => instance.state);
  drawPlaces(row.windows, windows, (instance) =>
    isOpen(instance) || instance.state === "failed" ? instance.state : "not open",
  );
  const buses = busesOf(services, windows);
  setParts(row.buses, JSON.stringify(buses), () =>
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
  setText(row.cause, busy ? `${busy} …` : paused && !item.cause.includes("pause") ? paused + item.cause : item.cause);
  setAttr(row.node, "data-busy", busy ? "yes" : null);
  const here = windows.find((instance) => isOpen(instance) && instance.host === model.caller.console);
  const taken = windows.find((instance) => isOpen(instance) && instance.host !== model.caller.console);
  setText(row.open, taken && model.caller.console ? "Take over…" : "Open here");
  const no =
    noOpen(item) ||
    (!windows.length ? "This item has no windows." : "") ||
    (here ? `It is open here, on ${here.host}.` : "");
  setAttr(row.open, "aria-disabled", no ? "true" : null);
  setAttr(row.open, "title", no || `Open item ${item.item} on ${model.caller.console}`);
  row.open.no = no;
  const holds = services.find((instance) => instance.host);
  setAttr(
    row.node,
    "aria-label",
    `Item ${item.item}: ${item.verdict}${holds ? ` on ${holds.host}` : ""}${item.cause ? `, ${item.cause}` : ""}`,
  );
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

function drawChips(items, size) {
  const look = items.filter(needsLook).length;
  const chips = [
    ["", "all", items.length, "good"],
    ["look", "not normal", look, look ? "warn" : "good"],
  ];
  for (const verdict of VERDICTS) {
    const count = items.filter((item) => item.verdict === verdict).length;
    if (count || shown.only === verdict) chips.push([verdict, verdict, count, kindOf(verdict)]);
  }
  setParts(by("counts"), JSON.stringify([chips, shown.only]), () =>
    chips
      .map(([only, text, count, kind]) =>
        button("", () => showOnly(only), {
          class: "chip",
          "aria-pressed": String(shown.only === only),
          data: { only, kind },
        }),
      )
      .map((node, at) => {
        const [only, text, count, kind] = chips[at];
        node.append(...(only && only !== "look" ? [shape(kind)] : []), el("b", { text: count }), ` ${text}`);
        return node;
      }),
  );
  setParts(by("views"), size + shown.size, () =>
    SIZES.map((name) => button(name, () => showSize(name), { class: "chip", "aria-pressed": String(name === size) })),
  );
}

export function showOnly(only) {
  shown.only = shown.only === only ? "" : only;
  refresh();
}

export function showSize(name) {
  shown.size = name;
  refresh();
}

export function nextSize() {
  showSize(SIZES[(SIZES.indexOf(by("items").dataset.size) + 1) % SIZES.length]);
}

function setFocus(id) {
  for (const [name, row] of rows) {
    setAttr(row.node, "tabindex", name === id ? 0 : -1);
    for (const inner of [row.open, row.more]) setAttr(inner, "tabindex", name === id ? 0 : -1);
  }
  shown.focus = id;
}

export function focusItem(id = shown.focus) {
  const row = rows.get(id);
  if (row && row.node.isConnected) row.node.focus();
}

/** Arrows walk over the rows as they lie: in the dense view there are several beside each other. */
function walk(event) {
  if (event.altKey || event.ctrlKey || event.metaKey || !event.target.matches("[data-item]")) return;
  const all = [...by("matrix").children];
  const at = all.indexOf(event.target);
  const beside = all.findIndex((node) => node.offsetTop !== all[0].offsetTop);
  const wide = beside < 0 ? all.length : beside;
  const steps = { ArrowDown: wide, ArrowUp: -wide, ArrowRight: 1, ArrowLeft: -1, Home: -at, End: all.length - 1 - at };
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    chosen(event.target.dataset.item);
  } else if (event.key in steps) {
    event.preventDefault();
    const next = all[Math.min(all.length - 1, Math.max(0, at + steps[event.key]))];
    if (next) next.focus();
  }
}
