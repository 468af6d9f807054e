// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Only what is in sight is in the document: rows lie in blocks, and a block that is far away is empty and keeps its height.

import { by, el } from "./dom.js";

const LINES = 12; // of rows in a block
const NEAR = "600px 0px"; // what is drawn beyond the edges, so that scrolling shows no gap
const HIGH = { large: 7, rows: 3, dense: 3.6 }; // rem of a line before it was drawn

let show = () => {};
let hide = () => {};
let blocks = []; // {node, rows, near}, in their order
const byNode = new WeakMap();

const sight = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      const block = byNode.get(target);
      if (block && block.near !== isIntersecting) turn(block, isIntersecting);
    }
    drawn();
  },
  { rootMargin: NEAR, scrollMargin: NEAR }, // of the window, and of the list that scrolls within it
);
let drawn = () => {};

/** `onShow(row)`: its node, drawn; `onHide(row)`: it is not needed any more; `onDrawn()`: other rows are in sight. */
export function beginBlocks(onShow, onHide, onDrawn) {
  [show, hide, drawn] = [onShow, onHide, onDrawn];
}

/** How many rows lie beside each other. */
export function columnsOf(size) {
  if (size !== "dense") return 1;
  const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
  return Math.max(1, Math.floor((by("matrix").clientWidth - 6) / (8.8 * rem)));
}

/** Lay out groups of rows: [[head or null, rows]]. Rows get `line` and `column`. Blocks that stay the same are left alone. */
export function layOut(groups, columns, size) {
  const matrix = by("matrix");
  const held = matrix.contains(document.activeElement) ? document.activeElement : null;
  matrix.style.setProperty("--columns", columns);
  const before = blocks;
  const nodes = [];
  let line = 0;
  let used = 0;
  blocks = [];
  for (const [head, rows] of groups) {
    if (head) nodes.push(head);
    for (let at = 0; at < rows.length; at += LINES * columns) {
      const part = rows.slice(at, at + LINES * columns);
      const block = before[used] || made();
      used += 1;
      part.forEach((row, number) => {
        row.line = line + Math.floor(number / columns);
        row.column = number % columns;
      });
      line += Math.ceil(part.length / columns);
      block.node.style.containIntrinsicSize = `auto ${Math.ceil(part.length / columns) * HIGH[size]}rem`;
      block.next = part;
      blocks.push(block);
      nodes.push(block.node);
    }
  }
  for (const block of before.slice(used)) drop(block);
  const wanted = new Set(nodes);
  for (const node of [...matrix.children]) if (!wanted.has(node)) node.remove();
  let next = matrix.firstChild;
  for (const node of nodes) {
    if (node === next) next = next.nextSibling;
    else matrix.insertBefore(node, next);
  }
  for (const block of blocks) for (const row of block.next) row.block = block;
  for (const block of before) leaveOut(block);
  for (const block of blocks) {
    block.rows = block.next;
    if (block.near) fill(block);
  }
  if (held && held.isConnected && document.activeElement !== held) held.focus();
}

/** Rows that were in this block and are in another one, or in none. */
function leaveOut(block) {
  for (const row of block.rows) {
    if (row.block && row.block !== block && row.block.near) continue;
    if (row.block === block && blocks.includes(block)) continue;
    if (row.block === block) row.block = null;
    hide(row);
  }
}

function made() {
  const block = { node: el("div", { role: "rowgroup", class: "block" }), rows: [], next: [], near: false };
  byNode.set(block.node, block);
  sight.observe(block.node);
  return block;
}

function drop(block) {
  sight.unobserve(block.node);
  block.next = [];
  block.near = false;
  for (const row of block.rows) if (row.block === block) row.block = null;
}

function turn(block, near) {
  if (!near && block.node.contains(document.activeElement)) return;
  block.near = near;
  if (near) fill(block);
  else {
    block.node.replaceChildren();
    for (const row of block.rows) hide(row);
  }
}

function fill(block) {
  const wanted = block.rows.map(show);
  const known = new Set(wanted);
  for (const node of [...block.node.children]) if (!known.has(node)) node.remove();
  let next = block.node.firstChild;
  for (const node of wanted) {
    if (node === next) next = next.nextSibling;
    else block.node.insertBefore(node, next);
  }
}

/** The rows that are in sight, or almost. */
export function* nearRows() {
  for (const block of blocks) if (block.near) yield* block.rows;
}

/** Have the node of a row in the document, wherever it is. */
export function reach(row) {
  if (row.block && !row.block.near) turn(row.block, true);
  return row.node;
}
