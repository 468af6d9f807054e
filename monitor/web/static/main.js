// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Begins the page: asks once for everything, then follows the stream.

import { follow, get, pageVersion, Refused } from "./api.js";
import { onChange } from "./ask.js";
import { beginKeys } from "./keys.js";
import { drawDetail, show } from "./detail.js";
import { by, setAttr, setParts, setText, shape } from "./dom.js";
import { beginHosts, drawHosts, growHistory } from "./hosts.js";
import { beginMatrix, drawMatrix, focusItem, shown } from "./matrix.js";
import { model, needsLook, noOpen } from "./model.js";
import { drawAttention, drawBands, tellStory } from "./story.js";
import { clock, kindOf, listing, now, setClock, skew, zone } from "./words.js";

const TOLD = 200; // entries of the trail that the page begins with
const AGAIN = 2000; // ms until it is tried again while no monitor answers
let staleSince = 0;
let version = "";
let drawing = 0;

/** Draw soon: changes that arrive together are drawn once. */
function redraw() {
  if (!drawing) drawing = requestAnimationFrame(draw);
}

function draw() {
  drawing = 0;
  document.body.classList.toggle("stale", model.stale);
  drawBands(staleSince);
  if (!model.status) return;
  drawHead();
  drawMatrix();
  drawHosts();
  drawAttention();
  drawDetail();
  remember();
}

function drawHead() {
  setText(by("clock").firstChild, `${clock(now())} ${zone()}`);
  fact("skew", "warn", skew());
  const { site, monitor, readiness, exclusion, items } = model.status;
  const { caller } = model;
  setText(by("site"), site);
  const intents = (monitor.intents || []).map((intent) => intent.instance);
  fact(
    "monitor",
    kindOf(monitor.state),
    `monitor ${monitor.state}${intents.length ? `, at work on ${listing(new Set(intents), 3)}` : ""}`,
  );
  if (readiness.ready) fact("readiness", "good", "N-1: any one server may die");
  else fact("readiness", "warn", `N-1: ${readiness.says}`);
  const apart = exclusion && exclusion.kind === "none" ? exclusion.says : ""; // how the site is set up: no alarm
  by("exclusion").hidden = !apart;
  setText(by("exclusion"), apart);
  setAttr(by("exclusion"), "title", apart);
  const where = caller.console || `${caller.host || "no host of the site"} (no console)`;
  setText(by("caller"), `${caller.who} on ${where}`);
  setAttr(by("caller"), "title", noOpen() || `Items open on ${caller.console}.`);
  const look = items.filter(needsLook).length;
  const title = `${model.stale ? "(silent) " : look ? `▲ ${look} not normal – ` : ""}${site} – muster`;
  if (document.title !== title) document.title = title;
}

function fact(id, kind, text) {
  setAttr(by(id), "data-kind", kind);
  setAttr(by(id), "title", text);
  by(id).hidden = !text;
  setParts(by(id), kind + text, () => [shape(kind), text]);
}

/** Keep the selection in the address, so that a screen on the wall keeps it and a bookmark can hold it. */
function remember() {
  const kept = new URLSearchParams();
  for (const name of ["only", "size", "text"]) if (shown[name]) kept.set(name, shown[name]);
  const hash = kept.size ? `#${kept}` : " ";
  if (hash.trim() !== location.hash) history.replaceState(null, "", hash.trim() || location.pathname);
}

function recall() {
  const kept = new URLSearchParams(location.hash.slice(1));
  for (const name of ["only", "size", "text"]) shown[name] = kept.get(name) || "";
  by("filter").value = shown.text;
}

async function take() {
  const [status, caller, events, history] = await Promise.all([
    get("/status"),
    get("/whoami"),
    get(`/events?limit=${TOLD}`),
    get("/history"),
  ]);
  setClock(status.at);
  Object.assign(model, { caller, history: history.hosts });
  events.events.forEach(tellStory);
  takeStatus(status);
  return events.last;
}

function takeStatus(status) {
  if (model.status && model.status.site_id !== status.site_id) location.reload();
  model.status = status;
  growHistory();
  redraw();
}

const hands = {
  trail: tellStory,
  status: takeStatus,
  alive: ({ at }) => setClock(at, true),
  stale(since, unread) {
    Object.assign(model, { stale: true, unread });
    staleSince = since + now() - Date.now() / 1000;
    redraw();
  },
  /** The monitor answers again: the caller's rights and the files of this page may have changed. */
  async back() {
    model.stale = false;
    redraw();
    const served = await pageVersion();
    if (served && served !== version) location.reload();
    try {
      model.caller = await get("/whoami");
      model.history = (await get("/history")).hosts;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
    }
    redraw();
  },
};

async function begin() {
  beginMatrix((id) => show("item", id), redraw);
  beginHosts((name) => show("host", name));
  beginKeys();
  onChange(redraw);
  recall();
  addEventListener("hashchange", () => {
    recall();
    redraw();
  });
  by("filter").addEventListener("input", (event) => {
    shown.text = event.target.value.trim();
    redraw();
  });
  setInterval(redraw, 1000);
  for (;;) {
    try {
      version = await pageVersion();
      const last = await take();
      model.stale = false;
      document.body.classList.remove("loading");
      follow(last, hands);
      if (document.activeElement === document.body) requestAnimationFrame(() => focusItem());
      return;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      model.stale = true;
      staleSince = staleSince || Date.now() / 1000;
      redraw();
      await new Promise((done) => setTimeout(done, AGAIN));
    }
  }
}

begin();
