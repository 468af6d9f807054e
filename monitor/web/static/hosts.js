// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The hosts: state, what they hold, and their load over time.

import { by, el, setAttr, setParts, setText, shape } from "./dom.js";
import { historyOf } from "./history.js";
import { hostState, model } from "./model.js";
import { CURVES, spark } from "./plot.js";
import { ago, isNormal, kindOf, listing, now, percent } from "./words.js";

const HELD = 8; // items on a card
const REDRAW = 30; // s: a plot moves on also when nothing was measured
const cards = new Map();
const sight = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) target.near = isIntersecting;
  if (model.status) drawHosts();
});
let chosen = () => {};

export function beginHosts(choose) {
  chosen = choose;
  by("legend").append(
    ...CURVES.map(([, name, text]) => el("span", { class: `key ${name}`, text })),
    el("span", { class: "key limit", text: "limit" }),
  );
}

export function drawHosts() {
  const nodes = model.status.hosts.map((host) => {
    if (!cards.has(host.host)) cards.set(host.host, made(host.host));
    const card = cards.get(host.host);
    draw(card, host);
    return card.node;
  });
  setParts(by("host-list"), model.status.hosts.map((host) => host.host).join(" "), () => nodes);
}

function made(name) {
  const parts = {
    mark: el("span", { class: "mark" }),
    word: el("b", { class: "word" }),
    reserved: el("p", { class: "figures" }),
    measured: el("p", { class: "figures" }),
    plot: el("div", { class: "curve" }),
    holds: el("p", { class: "holds" }),
    cause: el("p", { class: "cause" }),
  };
  const node = el(
    "button",
    { type: "button", class: "host", data: { host: name }, on: { click: () => chosen(name) } },
    el("span", { class: "head" }, parts.mark, el("b", { class: "name", text: name }), parts.word),
    parts.plot,
    parts.reserved,
    parts.measured,
    parts.holds,
    parts.cause,
  );
  sight.observe(node);
  return { node, ...parts };
}

function draw(card, host) {
  const state = hostState(host);
  const kind = kindOf(state);
  setAttr(card.node, "data-kind", kind);
  setParts(card.mark, kind, () => [shape(kind)]);
  setText(card.word, state === "up" ? "" : state);
  const points = card.node.near ? historyOf(host.host, false) : [];
  const last = points[points.length - 1] || [0];
  const load = typeof host.load.cpu === "number" ? host.load : { cpu: last[1], memory: last[2] };
  setText(card.reserved, `reserved ${Math.round(host.reserved)} of ${percent(host.limit)}`);
  setText(card.measured, `cpu ${percent(load.cpu)}, mem ${percent(load.memory)}`);
  const items = host.instances.map((name) => (model.status.instances[name] || {}).item || name);
  setText(card.holds, items.length ? `holds ${listing(items, HELD)}` : "holds nothing");
  setAttr(card.holds, "title", host.instances.join(", "));
  const readiness = model.status.readiness.hosts[host.host];
  setText(
    card.cause,
    causeOf(host, state) ||
      (readiness && readiness.without_place.length ? `if lost: ${readiness.without_place.length} without a host` : ""),
  );
  if (card.node.near) setParts(card.plot, `${points.length} ${last.join(" ")} ${host.limit} ${Math.floor(now() / REDRAW)}`, () => [
    spark(points, host.limit, now()),
  ]);
}

export function causeOf(host, state = hostState(host)) {
  if (state === "unreachable") return host.why || "it does not answer";
  if (!isNormal(kindOf(state)) || state === "drained") return host.evidence;
  const bad = Object.values(model.status.services).filter(
    (service) => (service.hosts[host.host] || {}).state === "unhealthy",
  );
  if (bad.length) return bad.map((service) => `${service.label}: unhealthy`).join(", ");
  if (host.answer === "seen" && now() - host.at > 300) return `last seen ${ago(host.at)} ago`;
  return (host.drift || [])[0] || "";
}
