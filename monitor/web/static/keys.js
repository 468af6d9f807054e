// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The keyboard. Letters that send a request work only where an item has the focus, or its panel is shown.

import * as actions from "./actions.js";
import { want } from "./ask.js";
import { by, button, el } from "./dom.js";
import { leave, show, shownItem } from "./detail.js";
import { shown } from "./address.js";
import { nextSize, showOnly, showWall } from "./chips.js";
import { focusItem } from "./matrix.js";
import { showLogs } from "./logs.js";
import { endPicking } from "./select.js";
import { instancesOf, isOpen, itemNamed, model, noOpen } from "./model.js";

const ITEM = {
  o: [(id) => ({ ...actions.open(id), no: noOpen(itemNamed(id)) || openHere(id) }), "open it on this console"],
  c: [actions.close, "close its windows"],
  s: [actions.start, "start its services"],
  x: [actions.stop, "stop its services"],
  r: [actions.restart, "restart its services"],
  e: [actions.reset, "reset: forget its failures"],
  p: [actions.pause, "pause it, or end the pause"],
};

const LOOK = { l: [showLogs, "what its programs write"] };

const PAGE = {
  "?": [() => help(), "this help"],
  "/": [() => by("filter").focus(), "find: item, host, word"],
  n: [() => showOnly("look"), "only what is not normal, or all"],
  v: [() => nextSize(), "size: large, rows, dense"],
  i: [() => focusItem(), "go to the items"],
  h: [() => focusFirst("host-list"), "go to the hosts"],
  a: [() => focusFirst("attention-list"), "go to what needs attention"],
  g: [() => show("site"), "the site: pause, repair"],
  t: [() => show("past"), "the past: search it"],
  w: [() => showWall(!shown.wall), "the wall: large letters, no buttons; Esc ends it"],
};

function openHere(id) {
  const here = instancesOf(id).find(
    (instance) => instance.on_request && isOpen(instance) && instance.host === model.caller.console,
  );
  return here ? `Item ${id} is open here, on ${here.host}.` : "";
}

function focusFirst(id) {
  const first = by(id).querySelector("button");
  if (first) first.focus();
}

export function beginKeys() {
  by("help-button").addEventListener("click", help);
  by("site-button").addEventListener("click", () => show("site"));
  by("wall-button").addEventListener("click", () => showWall(true));
  by("search-past").addEventListener("click", () => show("past"));
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || !model.status) return;
    const key = event.getModifierState("CapsLock") ? event.key.toLowerCase() : event.key;
    if (document.querySelector("dialog[open]")) return;
    if (event.key === "Escape") {
      if (event.target === by("filter") && shown.text) return;
      if (shown.wall) showWall(false);
      else if (endPicking() || leave()) event.preventDefault();
      else if (event.target === by("filter")) focusItem();
      return;
    }
    if (event.target.matches("input, textarea, select")) {
      if (event.key === "Enter" && event.target === by("filter")) focusItem();
      return;
    }
    if (!lettersWork() && key !== "?") return;
    const row = event.target.closest("[data-item]");
    const id = row ? row.dataset.item : by("detail").contains(event.target) ? shownItem() : "";
    if (id && key in ITEM) {
      event.preventDefault();
      want(ITEM[key][0](id));
    } else if (id && key in LOOK) {
      event.preventDefault();
      LOOK[key][0](id);
    } else if (key in PAGE) {
      event.preventDefault();
      PAGE[key][0]();
    }
  });
}

const OFF = "muster-letters-off"; // kept on this screen only

const lettersWork = () => localStorage.getItem(OFF) === null;

function help() {
  const dialog = by("help");
  const letters = el("input", { type: "checkbox", id: "letters" });
  letters.checked = lettersWork();
  letters.addEventListener("change", () =>
    letters.checked ? localStorage.removeItem(OFF) : localStorage.setItem(OFF, "1"),
  );
  const list = (keys) =>
    el(
      "dl",
      { class: "keys" },
      ...keys.flatMap(([key, text]) => [el("dt", {}, el("kbd", { text: key })), el("dd", { text })]),
    );
  dialog.replaceChildren(
    el("h2", { id: "help-title", text: "Keys" }),
    el(
      "div",
      { class: "two" },
      el(
        "section",
        {},
        el("h3", { text: "Everywhere" }),
        list(Object.entries(PAGE).map(([key, [, text]]) => [key, text])),
        list([
          ["Tab", "go on"],
          ["Esc", "close a panel or a question"],
        ]),
      ),
      el(
        "section",
        {},
        el("h3", { text: "On an item" }),
        list([
          ["↑ ↓ ← →", "go to another one"],
          ["Enter", "all about it"],
          ["Space", "select it, with Shift all up to it"],
          ...Object.entries({ ...ITEM, ...LOOK }).map(([key, [, text]]) => [key, text]),
        ]),
      ),
    ),
    el("label", { class: "check" }, letters, "Letters are shortcuts on this screen"),
    el("p", { text: "Grey is normal. Every other state has a colour, a shape and a word." }),
    el(
      "div",
      { class: "buttons" },
      button("Close", () => dialog.close(), { autofocus: true }),
    ),
  );
  dialog.showModal();
}
