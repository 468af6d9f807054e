// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The choices above the matrix: only some verdicts, size, order, groups, selection, wall.

import { remember, shown } from "./address.js";
import { by, button, el, setParts, shape } from "./dom.js";
import { needsLook } from "./model.js";
import { picking, togglePicking } from "./select.js";
import { kindOf, VERDICTS } from "./words.js";

export const SIZES = ["large", "rows", "dense"];
const GROUPS = ["area", "kind"];
const TURNS = "15"; // s until the wall turns its page

let refresh = () => {};
export const onChoice = (handler) => (refresh = handler);

export function drawChips(items, size) {
  const counts = new Map();
  let look = 0;
  for (const item of items) {
    counts.set(item.verdict, (counts.get(item.verdict) || 0) + 1);
    if (needsLook(item)) look += 1;
  }
  const chips = [
    ["", "all", items.length, "good"],
    ["look", "not normal", look, look ? "warn" : "good"],
  ];
  for (const verdict of VERDICTS) {
    const count = counts.get(verdict) || 0;
    if (count || shown.only === verdict) chips.push([verdict, verdict, count, kindOf(verdict)]);
  }
  setParts(by("counts"), JSON.stringify([chips, shown.only]), () =>
    chips.map(([only, text, count, kind]) => {
      const node = button("", () => showOnly(only), {
        class: "chip",
        "aria-pressed": String(shown.only === only),
        data: { only, kind },
      });
      node.append(...(only && only !== "look" ? [shape(kind)] : []), el("b", { text: count }), ` ${text}`);
      return node;
    }),
  );
  const groups = GROUPS.filter((name) => items.some((item) => item[name]));
  setParts(by("views"), [size, shown.size, shown.order, shown.group, groups, picking()].join(), () => [
    ...SIZES.map((name) => chip(name, () => showSize(name), name === size)),
    chip("worst first", worstFirst, Boolean(shown.order)),
    ...groups.map((name) => chip(`by ${name}`, () => groupBy(name), shown.group === name)),
    chip("select", togglePicking, picking()),
  ]);
}

const chip = (text, handler, pressed) => button(text, handler, { class: "chip", "aria-pressed": String(pressed) });

function choose(name, value) {
  shown[name] = value;
  remember();
  refresh();
}

export const showOnly = (only) => choose("only", shown.only === only ? "" : only);
export const showSize = (name) => choose("size", name);
export const showWall = (on) => choose("wall", on ? TURNS : "");
const worstFirst = () => choose("order", shown.order ? "" : "worst");
const groupBy = (name) => choose("group", shown.group === name ? "" : name);

export function nextSize() {
  showSize(SIZES[(SIZES.indexOf(by("items").dataset.size) + 1) % SIZES.length]);
}
