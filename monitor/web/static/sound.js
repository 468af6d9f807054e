// Copyright (c) muster contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// The sound of alarms: one per priority. Off until a person allows it on this screen; silenced for a time, never for good.

import { by, button, setParts } from "./dom.js";
import { model } from "./model.js";
import { clock, now } from "./words.js";

const ALLOWED = "muster-sound"; // kept on this screen
const SILENT = "muster-silent"; // {until, by}
const AGAIN = { high: 5, medium: 20, low: 60 }; // s between two sounds while an alarm is not acknowledged
const TONES = { high: [880, 660, 880, 660], medium: [660, 440], low: [440] }; // Hz, told apart by number as well
const SILENCE = 600; // s

let context = null;
let last = 0;
let heard = new Set(); // alarms that have sounded

const silence = () => {
  try {
    return JSON.parse(localStorage.getItem(SILENT)) || { until: 0 };
  } catch {
    return { until: 0 };
  }
};

export function drawSound() {
  const allowed = localStorage.getItem(ALLOWED) !== null;
  const { until, by: who } = silence();
  const quiet = allowed && until > now();
  const asleep = allowed && (!context || context.state !== "running");
  setParts(by("sound"), JSON.stringify([allowed, quiet && until, asleep]), () => [
    button(
      allowed ? (asleep ? "Sound: click to allow" : "Sound: on") : "Sound: off",
      () => (allowed && !asleep ? forbid() : allow()),
      { "aria-pressed": String(allowed && !asleep), class: "chip" },
    ),
    allowed && !asleep
      ? button(quiet ? `Silent until ${clock(until, false)} (${who})` : "Silence 10 min", hush, { class: "chip" })
      : null,
  ]);
}

function allow() {
  localStorage.setItem(ALLOWED, "1");
  context = context || new AudioContext();
  context.resume().then(() => {
    play("low");
    drawSound();
  });
  drawSound();
}

function forbid() {
  localStorage.removeItem(ALLOWED);
  drawSound();
}

function hush() {
  const quiet = silence().until > now();
  localStorage.setItem(SILENT, JSON.stringify({ until: quiet ? 0 : now() + SILENCE, by: model.caller.who }));
  drawSound();
}

/** Sound for the most urgent alarm that nobody has acknowledged: a new one at once, then again and again. */
export function ring(loud) {
  const fresh = loud.some((alarm) => !heard.has(`${alarm.id} ${alarm.raised}`));
  heard = new Set(loud.map((alarm) => `${alarm.id} ${alarm.raised}`));
  if (!loud.length || !context || context.state !== "running" || localStorage.getItem(ALLOWED) === null) return;
  const { priority } = loud[0];
  if (silence().until > now() || (!fresh && now() - last < AGAIN[priority])) return;
  last = now();
  play(priority);
}

function play(priority) {
  TONES[priority].forEach((pitch, at) => {
    const tone = context.createOscillator();
    const volume = context.createGain();
    const begin = context.currentTime + at * 0.22;
    tone.frequency.value = pitch;
    volume.gain.setValueAtTime(0.25, begin);
    volume.gain.exponentialRampToValueAtTime(0.001, begin + 0.2);
    tone.connect(volume).connect(context.destination);
    tone.start(begin);
    tone.stop(begin + 0.21);
  });
}
