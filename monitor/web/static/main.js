// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Begins the page: asks once for everything, then follows the stream.

import { onChange } from "./act.js";
import { followAddress, remember, shown } from "./address.js";
import { drawAlarms, takeAlarms } from "./alarms.js";
import { follow, get, pageVersion, person, Refused } from "./api.js";
import { drawAsks, takeAsks } from "./asks.js";
import { onChoice } from "./chips.js";
import { beginDetail, drawDetail, show } from "./detail.js";
import { followDialogs } from "./dialogs.js";
import { by, setAttr, setParts, setText, shape } from "./dom.js";
import { forgetHistory, growHistory, onHistory } from "./history.js";
import { beginHosts, drawHosts } from "./hosts.js";
import { beginKeys } from "./keys.js";
import { beginLogs } from "./logs.js";
import { beginMatrix, drawMatrix, drawPicks, focusItem, order } from "./matrix.js";
import { model, needsLook, noOpen } from "./model.js";
import { beginPrograms } from "./programs.js";
import { drawSelection, onPick } from "./select.js";
import { drawAttention, drawBands, tellStory } from "./story.js";
import { drawWall } from "./wall.js";
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
  if (model.alarms) drawAlarms();
  drawAsks();
  drawMatrix();
  drawSelection(order);
  drawHosts();
  drawAttention();
  drawDetail();
  drawWall();
}

function drawHead() {
  setText(by("clock").firstChild, `${clock(now())} ${zone()}`);
  fact("skew", "warn", skew());
  const { site, monitor, readiness, exclusion, items } = model.status;
  const { caller } = model;
  setText(by("site"), site);
  const intents = (monitor.intents || []).map((intent) => intent.instance);
  const lead = monitor.lead ? `, ${monitor.lead.leader || "no controller"} leads` : "";
  fact(
    "monitor",
    monitor.lead && !monitor.lead.leader ? "warn" : kindOf(monitor.state),
    `monitor ${monitor.state}${lead}${intents.length ? `, at work on ${listing(new Set(intents), 3)}` : ""}`,
  );
  if (readiness.ready) fact("readiness", "good", "N-1 met: any one server can be lost");
  else fact("readiness", "warn", `N-1 not met: ${readiness.says}`);
  const apart = exclusion && exclusion.kind === "none" ? exclusion.says : ""; // how the site is set up: no alarm
  by("exclusion").hidden = !apart;
  setText(by("exclusion"), apart && `exclusion: ${exclusion.kind}`);
  setAttr(by("exclusion"), "title", apart);
  const where = caller.console || `${caller.host || "no host of the site"} (no console)`;
  setText(by("caller"), `${caller.who}${person() ? ` (${person()})` : ""} on ${where}`);
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

async function take() {
  const [status, alarms, caller, events] = await Promise.all([
    get("/status"),
    get("/alarms"),
    get("/whoami"),
    get(`/events?limit=${TOLD}`),
  ]);
  setClock(status.at);
  Object.assign(model, { caller, index: null });
  events.events.forEach(tellStory);
  takeStatus(status);
  takeAlarms(alarms);
  return events.last;
}

function takeStatus(status) {
  if (model.status && model.status.site_id !== status.site_id) location.reload();
  model.status = status;
  growHistory();
  redraw();
}

/** Make the status before into this one, and note what of it differs. */
function takeChange(change) {
  const { status } = model;
  if (!status || status.at !== change.of) {
    again();
    return;
  }
  Object.assign(status, change.set, { at: change.at });
  for (const [list, name] of [["items", "item"], ["hosts", "host"]]) {
    if (!change[list]) continue;
    const fresh = new Map(change[list].map((entry) => [entry[name], entry]));
    if (fresh.size) status[list] = status[list].map((entry) => fresh.get(entry[name]) || entry);
    if (list === "items") fresh.forEach((_entry, id) => touch(id));
  }
  for (const name of change.gone) delete status.instances[name];
  if (change.gone.length || Object.keys(change.instances).some((name) => !(name in status.instances))) model.index = null;
  for (const [name, entry] of Object.entries(change.instances)) {
    status.instances[name] = entry;
    touch(entry.item);
  }
  if (change.set.items || change.set.services || change.gone.length) model.dirty = null; // rows show services too
  takeStatus(status);
}

const touch = (id) => model.dirty && model.dirty.add(id);

/** What came does not follow what is here: ask for all of it. */
async function again() {
  try {
    Object.assign(model, { dirty: null, index: null });
    takeStatus(await get("/status"));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
  }
}

const hands = {
  change: takeChange,
  trail: tellStory,
  status(document) {
    Object.assign(model, { dirty: null, index: null });
    takeStatus(document);
  },
  have: () => (model.status ? model.status.at : 0),
  asks(document) {
    takeAsks(document);
    redraw();
  },
  alarms(document) {
    takeAlarms(document);
    redraw();
  },
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
      forgetHistory();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
    }
    redraw();
  },
};

async function begin() {
  beginMatrix((id) => show("item", id));
  beginHosts((name) => show("host", name));
  beginDetail();
  beginKeys();
  onChange(redraw);
  onChoice(redraw);
  onHistory(redraw);
  onPick(() => {
    drawPicks();
    redraw();
  });
  beginPrograms();
  beginLogs();
  followAddress(() => {
    by("filter").value = shown.text;
    redraw();
    if (model.status) followDialogs();
  });
  by("filter").addEventListener("input", (event) => {
    shown.text = event.target.value.trim();
    remember();
    redraw();
  });
  addEventListener("resize", redraw);
  setInterval(redraw, 1000);
  for (;;) {
    try {
      version = await pageVersion();
      const last = await take();
      model.stale = false;
      document.body.classList.remove("loading");
      follow(last, hands);
      followDialogs();
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
