// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Requests to the monitor's API, and its stream of events.

const BASE = "/api/v1";

export class Refused extends Error {}

async function fetched(path, options) {
  let response;
  try {
    response = await fetch(BASE + path, options);
  } catch {
    throw new Refused("the monitor does not answer");
  }
  let body;
  try {
    body = await response.json();
  } catch {
    throw new Refused(`the monitor's answer cannot be read (${response.status})`);
  }
  if (!response.ok) throw new Refused(body.error || `the monitor refused it (${response.status})`);
  return body;
}

export const get = (path) => fetched(path, { cache: "no-store" });

const sent = (method) => (path, body) =>
  fetched(path, {
    method,
    headers: { "content-type": "application/json", ...(person() ? { "x-muster-person": encodeURIComponent(person()) } : {}) },
    body: JSON.stringify(body),
  });

export const post = sent("POST");
export const remove = sent("DELETE");

const PERSON = "muster-person"; // kept on this screen: who sits here, beside an account that several people share

export const person = () => localStorage.getItem(PERSON) || "";

export function setPerson(name) {
  if (name.trim()) localStorage.setItem(PERSON, name.trim());
  else localStorage.removeItem(PERSON);
}

/** The version of the page that the monitor serves now; empty when it does not say. */
export async function pageVersion() {
  try {
    return (await fetch("/static/icon.svg", { cache: "no-store" })).headers.get("etag") || "";
  } catch {
    return "";
  }
}

const LATE = 12000; // ms without a word: two heartbeats and a bit
const OLD = 15; // s since the monitor could read the status last until the page says so
const PATIENCE = 1500; // ms a broken connection may take to come back before the page says so
const AGAIN = 2000; // ms between two tries
const HOPELESS = 15000; // ms a try may take

/**
 * Follows the stream of events, for ever. After a broken connection the events that were missed come first.
 *
 * `hands`: {trail(entry), status(document), change(difference), alarms(document), asks(list), have(): the `at` of the status, alive({at, painted}), back(), stale(since, unread)}; `last`: the id to go on
 * after. `unread`: the monitor is there, but cannot read the status.
 */
export function follow(last, hands) {
  let source = null;
  let heard = Date.now();
  let stale = false;
  let unread = 0; // when the monitor read the status last, where that is too long ago; s by the clock here
  let broken = 0;
  let again = 0;
  let tried = 0;

  function word(id) {
    heard = Date.now();
    broken = 0;
    clearTimeout(again);
    again = 0;
    if (id) last = Number(id);
    if (stale && !unread) {
      stale = false;
      hands.back();
    }
  }

  function open() {
    again = 0;
    tried = Date.now();
    if (source) source.close();
    source = new EventSource(`${BASE}/events/stream?changes=1&after=${last}&have=${hands.have()}`);
    for (const name of ["trail", "status", "change", "alarms", "asks", "alive"]) {
      source.addEventListener(name, (event) => {
        const data = JSON.parse(event.data);
        if (name === "status" || name === "change") unread = 0;
        if (name === "alive") {
          const age = data.at - data.painted;
          unread = age > OLD ? Date.now() / 1000 - age : 0;
        }
        word(event.lastEventId);
        hands[name](data);
      });
    }
    source.addEventListener("error", () => {
      broken = broken || Date.now();
      if (source.readyState === EventSource.CLOSED) retry();
    });
  }

  function retry() {
    if (!again) again = setTimeout(open, AGAIN);
  }

  function look() {
    const quiet = Date.now() - heard;
    const late = quiet > LATE || (broken && Date.now() - broken > PATIENCE);
    if ((late || unread) && !stale) {
      stale = true;
      hands.stale(late ? heard / 1000 : unread, !late);
    }
    if (late && (source.readyState !== EventSource.CONNECTING || Date.now() - tried > HOPELESS)) retry();
  }

  open();
  setInterval(look, 500);
}
