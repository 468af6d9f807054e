// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The matrix: a row per item, in the site's order, so that an item is always found at the same place.

import { shown } from "./address.js";
import { beginBlocks, columnsOf, layOut, nearRows, reach } from "./blocks.js";
import { drawChips, SIZES } from "./chips.js";
import { by, button, el, setAttr, setText, shape } from "./dom.js";
import { model, needsLook } from "./model.js";
import { drawRow, drawTime, kindOfItem, makeRow, markRow, setReach } from "./row.js";
import { isPicked, pick, picking } from "./select.js";
import { isNormal } from "./words.js";

const MANY = [6, 40]; // up to so many items they are large, or rows, unless the viewer chose

let chosen = () => {};
let focus = ""; // the row that Tab leads to
let columns = 1; // rows beside each other
const rows = new Map(); // item -> row
const folded = new Set(); // groups of which only the head is shown
let listed = []; // the rows that are shown, in their order
let part = ""; // how many of all are shown, where not all are
let drawn = ""; // what the rows depend on besides their items

/** `choose(id)`: show an item in full. */
export function beginMatrix(choose) {
  chosen = choose;
  beginBlocks(shownRow, hiddenRow, drawTimes);
  const matrix = by("matrix");
  matrix.addEventListener("keydown", walk);
  matrix.addEventListener("focusin", (event) => {
    const row = event.target.closest("[data-item]");
    if (row && focus !== row.dataset.item) setFocus(row.dataset.item);
  });
  matrix.addEventListener("click", (event) => {
    const row = event.target.closest("[data-item]");
    if (!row || event.target.closest("button")) return;
    row.focus();
    if (picking() || event.ctrlKey || event.metaKey || event.shiftKey) pick(row.dataset.item, event.shiftKey, order());
    else chosen(row.dataset.item);
  });
  matrix.addEventListener("scroll", () => requestAnimationFrame(drawTimes), { passive: true });
  by("columns").append(...["Item", "Verdict", "Services", "HCI", "Buses", ""].map((text) => el("span", { text })));
  by("below-here").addEventListener("click", () => matrix.scrollBy({ top: matrix.clientHeight * 0.9 }));
}

/** The items in the order in which they are shown. */
export const order = () => listed.map((row) => row.id);

export function drawMatrix() {
  const { items } = model.status;
  const size = shown.wall ? "large" : shown.size || SIZES[MANY.findIndex((many) => items.length <= many)] || "dense";
  setAttr(by("items"), "data-size", size);
  setText(by("columns").lastChild, model.caller.console ? `here: ${model.caller.console}` : "this is no console");
  const { only, text, order: by_, group } = shown;
  columns = columnsOf(size);
  const same = JSON.stringify([size, columns, only, text, by_, group, [...folded], model.stale, model.caller, [...model.busy]]);
  const few = model.dirty && same === drawn ? model.dirty : null;
  drawn = same;
  model.dirty = new Set();
  const touched = few ? items.filter((item) => few.has(item.item)) : items;
  if (touched.length) drawRows(touched, items, few, size);
  drawTimes();
  drawChips(items, size);
}

/** `few`: only these have changed, so that the others are left alone. */
function drawRows(touched, items, few, size) {
  let moved = !few || Boolean(shown.order) || Boolean(shown.group);
  for (const item of touched) {
    if (!rows.has(item.item)) rows.set(item.item, { id: item.item, node: null, parts: null, block: null, listed: false });
    const row = rows.get(item.item);
    row.item = item;
    row.look = needsLook(item);
    if (row.block && row.block.near) shownRow(row);
    moved = moved || row.listed !== fits(item);
  }
  if (!moved) return;
  if (rows.size > items.length) {
    const known = new Set(items.map((item) => item.item));
    for (const id of [...rows.keys()]) if (!known.has(id)) rows.delete(id);
  }
  const fitting = items.filter(fits);
  if (shown.order) fitting.sort((a, b) => rank(a) - rank(b)); // stable: the site's order among equals
  place(fitting, size);
  setText(by("nothing"), fitting.length ? "" : emptyWords(items));
  by("nothing").hidden = fitting.length > 0;
  part = fitting.length === items.length ? "" : `${fitting.length} of ${items.length} shown`;
}

/** The node of a row, drawn. */
function shownRow(row) {
  if (!row.node) makeRow(row, (id) => chosen(id));
  markRow(row, row.item);
  drawRow(row, row.item, row.id === focus);
  setAttr(row.node, "aria-selected", picking() ? String(isPicked(row.id)) : null);
  return row.node;
}

function hiddenRow(row) {
  row.node = row.parts = null;
}

/** Draw again what depends on the selection. */
export function drawPicks() {
  for (const row of nearRows()) shownRow(row);
}

const RANKS = ["bad", "unknown", "warn", "wait", "off", "good"];
const rank = (item) => RANKS.indexOf(kindOfItem(item));

/** How long ago, of the rows that are in sight; and how many are below, and not normal out of sight. */
export function drawTimes() {
  if (!model.status) return;
  const frame = by("matrix").getBoundingClientRect();
  const bottom = Math.min(frame.bottom, innerHeight);
  const top = Math.max(frame.top, 0);
  const seen = new Set();
  for (const row of nearRows()) {
    if (!row.node) continue;
    drawTime(row);
    const box = row.node.getBoundingClientRect();
    if (box.top < bottom - 4 && box.bottom > top + 4) seen.add(row);
  }
  let below = 0;
  let hidden = 0;
  let past = false;
  for (const row of listed) {
    if (seen.has(row)) past = true;
    else {
      if (past) below += 1;
      if (row.look) hidden += 1;
    }
  }
  setText(by("shown"), [part, hidden ? `${hidden} not normal out of sight` : ""].filter(Boolean).join(" · "));
  by("below-here").hidden = !below;
  setText(by("below-here"), `${below} more below`);
}

function emptyWords(items) {
  if (!items.length) return "The site has no items.";
  return shown.only === "look" && !shown.text
    ? "Nothing to look at: every item is as it should be."
    : "No item is like that.";
}

/** Put the rows in order and leave those alone that are in place, so that focus and scroll position stay. */
function place(items, size) {
  const focused = by("matrix").contains(document.activeElement);
  for (const row of listed) row.listed = false;
  listed = [];
  const groups = [];
  for (const [name, members] of grouped(items)) {
    const inside = members.map((item) => rows.get(item.item));
    const open = !folded.has(name);
    groups.push([shown.group ? head(name, members) : null, open ? inside : []]);
    if (open) listed.push(...inside);
    for (const row of inside) row.listed = true; // a row of a folded group is in its place
  }
  layOut(groups, columns, size);
  setAttr(by("matrix"), "aria-rowcount", listed.length);
  if (listed.length) setFocus(rows.has(focus) && rows.get(focus).listed ? focus : listed[0].id);
  if (focused && !by("matrix").contains(document.activeElement) && listed.length) focusItem();
}

/** [[name of a group, its items]], in the order in which they first occur; one without groups. */
function grouped(items) {
  if (!shown.group) return [["", items]];
  const found = new Map();
  for (const item of items) {
    const name = item[shown.group] || `no ${shown.group}`;
    if (!found.has(name)) found.set(name, []);
    found.get(name).push(item);
  }
  return found;
}

function head(name, members) {
  const bad = members.filter(needsLook);
  const worst = bad.map(kindOfItem).sort((a, b) => RANKS.indexOf(a) - RANKS.indexOf(b))[0];
  const open = !folded.has(name);
  const fold = button(`${open ? "▾" : "▸"} ${name}`, () => foldOrOpen(name), { "aria-expanded": String(open) });
  const say = `${members.length} item${members.length === 1 ? "" : "s"}${bad.length ? `, ${bad.length} not normal` : ""}`;
  const cell = el("div", { role: "rowheader" }, fold, worst && !isNormal(worst) ? shape(worst) : null, el("span", { text: say }));
  return el("div", { role: "row", class: "group", data: { group: name, kind: worst || "good" } }, cell);
}

function foldOrOpen(name) {
  if (!folded.delete(name)) folded.add(name);
  drawMatrix();
  const again = by("matrix").querySelector(`[data-group="${CSS.escape(name)}"] button`);
  if (again) again.focus();
}

function fits(item) {
  if (shown.only === "look" ? !needsLook(item) : shown.only && item.verdict !== shown.only) return false;
  if (!shown.text) return true;
  const { services, hci } = item;
  const facts = [item.item, item.name, item.area, item.kind, item.verdict, item.word, services.host, hci.host, item.cause];
  return facts.join(" ").toLowerCase().includes(shown.text.toLowerCase());
}

function setFocus(id) {
  const before = rows.get(focus);
  if (before && before.node && focus !== id) setReach(before, false);
  focus = id;
  const row = rows.get(id);
  if (row && row.node) setReach(row, true);
}

export function focusItem(id = focus) {
  const row = rows.get(id);
  if (!row || !row.block) return;
  setFocus(id);
  reach(row).focus();
}

/** Arrows walk over the rows as they lie: in the dense view there are several beside each other. */
function walk(event) {
  if (event.altKey || event.ctrlKey || event.metaKey || !event.target.matches("[data-item]")) return;
  const { item } = event.target.dataset;
  const at = listed.indexOf(rows.get(item));
  const last = listed.length - 1;
  const steps = {
    Enter: () => chosen(item),
    " ": () => pick(item, event.shiftKey, order()),
    ArrowLeft: () => at - 1,
    ArrowRight: () => at + 1,
    Home: () => 0,
    End: () => last,
    ArrowUp: () => beyond(at, -1),
    ArrowDown: () => beyond(at, 1),
  };
  if (!(event.key in steps)) return;
  event.preventDefault();
  const next = steps[event.key]();
  if (next !== undefined) focusItem(listed[Math.min(last, Math.max(0, next))].id);
}

/** The row in the next line, above or below, that lies nearest. */
function beyond(at, step) {
  const { line, column } = listed[at];
  let next = at + step;
  while (listed[next] && listed[next].line === line) next += step;
  if (!listed[next]) return at;
  let best = next;
  for (const there = listed[next].line; listed[next] && listed[next].line === there; next += step)
    if (Math.abs(listed[next].column - column) < Math.abs(listed[best].column - column)) best = next;
  return best;
}
