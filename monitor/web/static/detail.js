// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The panel: about one item, one host, the site, its rollout, or the past. What it shows is part of the address.

import { remember, shown } from "./address.js";
import { by, button, el, setParts } from "./dom.js";
import { lengthOf } from "./history.js";
import { focusItem } from "./matrix.js";
import { hostNamed, instancesOf, itemNamed, model, noOpen } from "./model.js";
import { hostPanel } from "./panel_host.js";
import { answerAbout, itemPanel, onExplained } from "./panel_item.js";
import { does, row, state } from "./panel_kit.js";
import { pastPanel } from "./panel_past.js";
import { sitePanel } from "./panel_site.js";
import { rollout } from "./rollout.js";
import { now } from "./words.js";

/** By kind: what is to be known of it (nothing: there is no such), what it depends on, its title, its parts. */
const PANELS = {
  item: {
    find: itemNamed,
    facts: (one) => [one, instancesOf(one.item), answerAbout(one.item)],
    title: (name, one) => `Item ${name}${one.name ? ` · ${one.name}` : ""}`,
    parts: itemPanel,
  },
  host: { find: hostNamed, facts: (one) => [one, lengthOf(one.host)], title: (name) => name, parts: hostPanel },
  site: {
    find: () => model.status,
    facts: ({ monitor, pauses, rollout: one, stopped }) => [monitor, pauses, one, stopped],
    title: () => `Site ${model.status.site}`,
    parts: sitePanel,
  },
  rollout: {
    find: () => model.status.rollout,
    facts: (one) => one,
    title: () => "Rollout",
    parts: (one) => rollout(one, { does, row, state }),
  },
  past: { find: () => true, facts: () => "", title: () => "The past", parts: pastPanel, lasting: true },
};

let subject = null; // {kind, name} of what is drawn
let back = null; // what had the focus before

export function beginDetail() {
  onExplained(drawDetail);
}

/** Show a panel and go there. */
export function show(kind, name = "") {
  if (!subject) back = document.activeElement;
  shown.panel = name ? `${kind}:${name}` : kind;
  remember(true);
  by("detail").partsKey = null;
  drawDetail();
  focusFirst();
}

export function leave() {
  if (!subject) return false;
  shown.panel = "";
  remember(true);
  hide();
  return true;
}

function focusFirst() {
  const first = by("detail").querySelector("input, button:not(.away)") || by("detail").querySelector("button");
  if (first) first.focus();
}

function hide() {
  const was = subject;
  subject = null;
  by("detail").hidden = true;
  by("detail").partsKey = null;
  document.body.classList.remove("with-detail");
  if (was.kind === "item") focusItem(was.name);
  else if (back && back.isConnected) back.focus();
}

/** What the address says: {kind, name}, or null. */
function asked() {
  const [kind, ...rest] = shown.panel.split(":");
  return kind in PANELS ? { kind, name: rest.join(":") } : null;
}

export const shownItem = () => (subject && subject.kind === "item" ? subject.name : "");

export function drawDetail() {
  if (!model.status) return;
  const wanted = asked();
  const panel = wanted && PANELS[wanted.kind];
  const known = panel && panel.find(wanted.name);
  if (!known) {
    if (subject) hide();
    return;
  }
  const node = by("detail");
  const same = subject && subject.kind === wanted.kind && subject.name === wanted.name;
  subject = wanted;
  node.hidden = false;
  document.body.classList.add("with-detail");
  const held = node.contains(document.activeElement) ? document.activeElement.textContent : null;
  const top = same ? node.scrollTop : 0;
  const { kind, name } = subject;
  const still = panel.lasting ? "" : [model.busy.get(name), noOpen(), Math.floor(now() / 30)];
  setParts(node, JSON.stringify([kind, name, panel.facts(known), still]), () => [
    head(panel.title(name, known)),
    ...panel.parts(known),
  ]);
  node.scrollTop = top;
  if (held && !node.contains(document.activeElement)) {
    const again = [...node.querySelectorAll("button")].find((one) => one.textContent === held);
    if (again) again.focus();
  }
}

function head(title) {
  return el(
    "div",
    { class: "title" },
    el("h2", { id: "detail-title", text: title }),
    button("✕", leave, { class: "away", "aria-label": "Close this panel (Escape)" }),
  );
}
