// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Small helpers around the document. Text is never taken for markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element: `{class, text, on: {event: handler}, data: {…}, …attributes}`, then its children but null ones. */
export function el(tag, facts = {}, ...children) {
  return filled(document.createElement(tag), facts, children);
}

export function svg(tag, facts = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), facts, children);
}

function filled(node, facts, children) {
  for (const [name, value] of Object.entries(facts)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") node.textContent = value;
    else if (name === "on") for (const [event, handler] of Object.entries(value)) node.addEventListener(event, handler);
    else if (name === "data") Object.assign(node.dataset, value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export const by = (id) => document.getElementById(id);

/** Change only attributes that differ: a page that is open for a year must not do needless work. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttr(node, name, value) {
  if (value === null || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

/** Replace the children when `key` differs from the last one. */
export function setParts(node, key, make) {
  if (node.partsKey === key) return;
  node.partsKey = key;
  node.replaceChildren(...make().filter(Boolean));
}

/** A button of an action: one that may not be used still takes focus and says why. */
export function button(text, handler, facts = {}) {
  const { no, ...rest } = facts;
  return el("button", {
    type: "button",
    text,
    "aria-disabled": no ? "true" : null,
    title: no || null,
    on: { click: handler },
    ...rest,
  });
}

const SHAPES = {
  good: () => [svg("circle", { cx: 12, cy: 12, r: 7 })],
  bad: () => [
    svg("path", { d: "M7 1h10l6 6v10l-6 6H7l-6-6V7z", class: "fill" }),
    svg("path", { d: "M7 7l10 10M17 7L7 17", class: "cut" }),
  ],
  warn: () => [
    svg("path", { d: "M12 2l11 20H1z", class: "fill" }),
    svg("path", { d: "M12 9v6M12 17.6v2.2", class: "cut" }),
  ],
  wait: () => [svg("circle", { cx: 12, cy: 12, r: 9 }), svg("path", { d: "M12 3a9 9 0 0 1 0 18z", class: "fill" })],
  unknown: () => [
    svg("path", { d: "M12 1l11 11-11 11L1 12z", class: "fill" }),
    svg("path", { d: "M9 10a3 3 0 1 1 4.4 2.6c-.9.5-1.4 1-1.4 2M12 17v1.6", class: "cut" }),
  ],
  off: () => [svg("rect", { x: 5, y: 5, width: 14, height: 14 })],
};

/** The shape of a kind of state; the word beside it says the same. */
export function shape(kind) {
  return svg("svg", { class: `shape ${kind}`, viewBox: "0 0 24 24", "aria-hidden": "true" }, ...SHAPES[kind]());
}
