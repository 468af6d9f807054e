// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The panel about one item, one host, or the site: all facts, and every request about it.

import * as actions from "./actions.js";
import { get, Refused } from "./api.js";
import { want } from "./ask.js";
import { by, button, el, setParts, shape } from "./dom.js";
import { causeOf } from "./hosts.js";
import { focusItem } from "./matrix.js";
import { hostNamed, hostState, instancesOf, isOpen, itemNamed, model, noAct, noOpen } from "./model.js";
import { plot } from "./plot.js";
import { ago, clock, kindOf, listing, now, percent } from "./words.js";

const VERDICT_WORDS = { "holds it": "holds it", fits: "fits" };
let subject = null; // {kind: item | host | site, name}
let back = null;
let explained = null;

/** Show a panel and go there. */
export function show(kind, name = "") {
  if (!subject) back = document.activeElement;
  subject = { kind, name };
  explained = null;
  by("detail").partsKey = null;
  by("detail").hidden = false;
  document.body.classList.add("with-detail");
  drawDetail();
  by("detail").querySelector("button:not(.away)").focus();
}

export function leave() {
  if (!subject) return false;
  const was = subject;
  subject = null;
  by("detail").hidden = true;
  document.body.classList.remove("with-detail");
  if (was.kind === "item") focusItem(was.name);
  else if (back && back.isConnected) back.focus();
  return true;
}

export const shownItem = () => (subject && subject.kind === "item" ? subject.name : "");

export function drawDetail() {
  if (!subject || !model.status) return;
  const known = { item: () => itemNamed(subject.name), host: () => hostNamed(subject.name), site: () => true }[
    subject.kind
  ]();
  if (!known) {
    leave();
    return;
  }
  const panel = by("detail");
  const held = panel.contains(document.activeElement) ? document.activeElement.textContent : null;
  const top = panel.scrollTop;
  const facts =
    subject.kind === "item"
      ? [known, instancesOf(known.item)]
      : subject.kind === "host"
        ? [known, (model.history[known.host] || []).length]
        : [model.status.monitor, model.status.pauses];
  const key = JSON.stringify([
    subject,
    facts,
    explained,
    model.busy.get(subject.name),
    noOpen(),
    Math.floor(now() / 30),
  ]);
  setParts(panel, key, () => [head(), ...{ item, host, site }[subject.kind](known)]);
  panel.scrollTop = top;
  if (held && !panel.contains(document.activeElement)) {
    const same = [...panel.querySelectorAll("button")].find((node) => node.textContent === held);
    if (same) same.focus();
  }
}

function head() {
  const title = { item: `Item ${subject.name}`, host: subject.name, site: `Site ${model.status.site}` }[subject.kind];
  return el(
    "div",
    { class: "title" },
    el("h2", { id: "detail-title", text: title }),
    button("✕", leave, { class: "away", "aria-label": "Close this panel (Escape)" }),
  );
}

/** A button that asks what it does; `no`: why it may not be used. */
function does(text, wish, key, no = "") {
  return button(text, () => want(no ? { ...wish, no } : wish), {
    no: noAct() || no || wish.no,
    "aria-keyshortcuts": key || null,
  });
}

const state = (word, kind = kindOf(word)) =>
  el("span", { class: "state", data: { kind } }, shape(kind), el("b", { text: word }));
const row = (name, ...values) => el("div", { class: "row" }, el("dt", { text: name }), el("dd", {}, ...values));

function item(one) {
  const id = one.item;
  const here = instancesOf(id).some(
    (instance) => instance.on_request && instance.host === model.caller.console && isOpen(instance),
  );
  const no = noOpen(one) || (here ? `It is open here, on ${model.caller.console}.` : "");
  return [
    el(
      "p",
      { class: "line" },
      state(one.verdict),
      el("span", { class: "since", text: one.since ? `since ${clock(one.since)} (${ago(one.since)})` : "" }),
    ),
    one.cause ? el("p", { class: "cause", text: one.cause }) : null,
    el(
      "div",
      { class: "buttons" },
      does("Open here", actions.open(id), "o", no),
      does("Close", actions.close(id), "c"),
      does("Start", actions.start(id), "s"),
      does("Stop", actions.stop(id), "x"),
      does("Restart", actions.restart(id), "r"),
      does("Reset", actions.reset(id), "e"),
      does(one.paused ? "Resume" : "Pause", actions.pause(id), "p"),
    ),
    no ? el("p", { class: "hint", text: no }) : null,
    ...instancesOf(id).map(instanceNode),
    el(
      "div",
      { class: "buttons" },
      button("Why there?", () => explain(id), { "aria-expanded": String(Boolean(explained)) }),
    ),
    ...(explained ? explainedNodes() : []),
  ];
}

function instanceNode(instance) {
  const programs = Object.entries(instance.programs || {});
  const lacks = [...(instance.missing || []), ...Object.keys(instance.failed || {})];
  const wanted = instance.wanted;
  const word = instance.on_request && !isOpen(instance) && instance.state === "stopped" ? "not open" : instance.state;
  return el(
    "section",
    { class: "instance" },
    el("h3", {}, instance.name, " ", state(word, word === "not open" ? "off" : undefined)),
    el(
      "dl",
      {},
      instance.host
        ? row("On", `${instance.host} (${instance.address})`, instance.target ? `, moving to ${instance.target}` : "")
        : null,
      instance.since && instance.host
        ? row("Since", `${clock(instance.since)} (${ago(instance.since)}), epoch ${instance.epoch}`)
        : null,
      wanted
        ? row("Wanted", `${wanted.state} by ${wanted.by}${wanted.why ? `: ${wanted.why}` : ""}, ${clock(wanted.at)}`)
        : null,
      instance.bus
        ? row(
            "Bus",
            state(instance.bus.health),
            ` since ${clock(instance.bus.since)}${instance.bus.why ? `: ${instance.bus.why}` : ""}`,
          )
        : null,
      programs.length
        ? row(
            "Runs",
            listing(
              programs.map(([name]) => name),
              20,
            ),
          )
        : null,
      lacks.length
        ? row(
            "Lacks",
            ...lacks.map((name) =>
              el(
                "span",
                { class: "lack" },
                shape("bad"),
                name,
                (instance.failed || {})[name] ? `: ${instance.failed[name]}` : "",
              ),
            ),
          )
        : null,
      instance.deferred.length ? row("Waits for", listing(instance.deferred)) : null,
      instance.pending ? row("Configuration", instance.pending.says) : null,
      instance.failures
        ? row("Failures", `${instance.failures} of ${instance.failure_budget}${instance.reason ? `: ${instance.reason}` : ""}`)
        : null,
      typeof instance.cpu === "number"
        ? row("Load", `processor ${percent(instance.cpu)}, memory ${percent(instance.memory)}`)
        : null,
    ),
  );
}

async function explain(id) {
  if (explained) explained = null;
  else {
    try {
      explained = await get(`/explain/${encodeURIComponent(id)}`);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      explained = { applications: [], error: error.message };
    }
  }
  drawDetail();
}

function explainedNodes() {
  if (explained.error) return [el("p", { class: "cause", text: explained.error })];
  return explained.applications.map((one) =>
    el(
      "section",
      { class: "instance" },
      el("h3", { text: `${one.instance}: ${one.where}` }),
      el("p", { text: `${one.rule}.` }),
      el(
        "ul",
        { class: "candidates" },
        ...one.candidates.map((candidate) =>
          el(
            "li",
            { data: { fits: String(candidate.fits) } },
            el("b", { text: `${candidate.host}: ${VERDICT_WORDS[candidate.verdict] || candidate.verdict}` }),
            ` ${candidate.why}`,
          ),
        ),
      ),
    ),
  );
}

function host(one) {
  const word = hostState(one);
  const name = one.host;
  const readiness = model.status.readiness.hosts[name];
  const services = Object.values(model.status.services).filter((service) => service.hosts[name]);
  const drain = one.drain && one.drain.until ? `, used again from ${clock(one.drain.until)}` : "";
  return [
    el("p", { class: "line" }, state(word), el("span", { text: ` ${one.address}, machine ${one.node}${drain}` })),
    causeOf(one) ? el("p", { class: "cause", text: causeOf(one) }) : null,
    el(
      "div",
      { class: "buttons" },
      word === "drained" ? does("Use again", actions.undrain(name)) : does("Drain…", actions.drain(name)),
      does("It is down…", actions.confirmDown(name)),
    ),
    plot(model.history[name] || [], one.limit, now()),
    el(
      "dl",
      {},
      row("Reserved", `${Math.round(one.reserved)} of ${percent(one.limit)}`),
      row("Holds", one.instances.length ? listing(one.instances, 40) : "nothing"),
      readiness
        ? row(
            "If it died",
            readiness.why ||
              (readiness.moves ? `${readiness.moves} would move, and find a place` : "nothing would move"),
          )
        : null,
      ...services.map((service) =>
        row(
          service.label,
          state(service.hosts[name].state),
          service.hosts[name].why ? ` ${service.hosts[name].why}` : "",
        ),
      ),
      row("Seen", one.at ? `${clock(one.at)} (${ago(one.at)} ago)` : "never"),
      one.drift.length ? row("Drift", listing(one.drift, 20)) : null,
      one.foreign.length ? row("Foreign files", listing(one.foreign, 20)) : null,
    ),
  ];
}

function site() {
  const { monitor, pauses, stopped } = model.status;
  const paused = (pauses || []).some((pause) => pause.key === "site");
  const intents = monitor.intents || [];
  return [
    el(
      "div",
      { class: "buttons" },
      does(paused ? "Resume" : "Pause…", paused ? actions.resume(null) : actions.pause(null)),
      does("Repair what differs…", actions.reconcile()),
      does("Even out the load…", actions.rebalance()),
      stopped ? does("Start the site…", actions.siteStart()) : does("Stop the site…", actions.siteStop()),
    ),
    el(
      "dl",
      {},
      row("If one died", model.status.readiness.says || "any one server may die: all it held would find a place"),
      row("Monitor", state(monitor.state), ` process ${monitor.pid || "unknown"}`),
      row("Standby run", monitor.standby || "none"),
      row("Revision", `${model.status.revision} of the ledger`),
      row(
        "At work on",
        intents.length
          ? listing(
              intents.map((intent) => `${intent.instance} (${intent.why || intent.kind || intent.what || "asked"})`),
              20,
            )
          : "nothing",
      ),
      row(
        "You",
        `${model.caller.who} from ${model.caller.host || "no host of this site"}; you may ${listing(model.caller.may)}`,
      ),
    ),
  ];
}
