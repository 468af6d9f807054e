// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// What the panels are made of.

import { want } from "./ask.js";
import { button, el, shape } from "./dom.js";
import { noAct } from "./model.js";
import { kindOf } from "./words.js";

/** A button that asks what it does; `no`: why it may not be used. */
export function does(text, wish, key, no = "") {
  return button(text, () => want(no ? { ...wish, no } : wish), {
    no: noAct() || no || wish.no,
    "aria-keyshortcuts": key || null,
  });
}

export const state = (word, kind = kindOf(word)) =>
  el("span", { class: "state", data: { kind } }, shape(kind), el("b", { text: word }));
export const row = (name, ...values) => el("div", { class: "row" }, el("dt", { text: name }), el("dd", {}, ...values));
