// Recorded time: where it stands, how fast it goes, where to jump. There only when the view has it.

import { $, clock, el, say, svg, toast } from "./dom.js";
import { post } from "./wire.js";

const SPEEDS = [0.25, 0.5, 1, 2, 4, 8, 16];
const STEP_MS = 5000;
const JUMPS = [["event", "event", "e"], ["loss", "loss", "l"], ["low-trust", "low trust", "u"]];
const MOST_TICKS = 400;

export class ReplayBar {
  constructor(app) {
    Object.assign(this, { app, transport: null, ticks: [], dragging: false });
    this.play = el("button", { type: "button", class: "play", "aria-keyshortcuts": "Space", onclick: () => this.toggle() });
    this.slider = el("input", { type: "range", min: 0, max: 1000, step: "any", "aria-label": "Recorded time" });
    this.at = el("output", { class: "at" });
    this.end = el("span", { class: "end" });
    this.marks = svg("svg", { class: "ticks", preserveAspectRatio: "none", viewBox: "0 0 1000 10", "aria-hidden": "true" });
    this.speed = el("select", { "aria-label": "Speed", onchange: () => this.setSpeed(Number(this.speed.value)) },
      ...SPEEDS.map((speed) => el("option", { value: speed, text: `${speed}x` })));
    const jumps = JUMPS.map(([kind, name, key]) => el("span", { class: "jump", role: "group", "aria-label": `Jump to ${name}` },
      el("button", { type: "button", text: "\u25C0", "aria-label": `Previous ${name}`, "aria-keyshortcuts": `Shift+${key}`, onclick: () => this.jump(kind, false) }),
      el("span", { text: name }),
      el("button", { type: "button", text: "\u25B6", "aria-label": `Next ${name}`, "aria-keyshortcuts": key, onclick: () => this.jump(kind, true) })));
    $("replay").append(this.play, this.at, el("div", { class: "track" }, this.marks, this.slider), this.end,
      el("label", { class: "speed" }, "Speed ", this.speed), ...jumps);
    this.slider.addEventListener("input", () => this.drag());
    this.slider.addEventListener("change", () => { this.dragging = false; this.seek(Number(this.slider.value)); });
  }

  update(transport) {
    this.transport = transport;
    $("replay").hidden = !transport;
    if (!transport) return;
    const { first_ms: first, last_ms: last, now_ms: now, speed, playing } = transport;
    if (this.slider.min !== String(first)) this.slider.min = first;
    if (this.slider.max !== String(last)) this.slider.max = last;
    if (!this.dragging) {
      this.slider.value = now;
      say(this.at, clock(now, true));
      this.slider.setAttribute("aria-valuetext", `${clock(now)} UTC`);
    }
    say(this.end, clock(last));
    say(this.play, playing ? "\u275A\u275A Pause" : "\u25B6 Play");
    this.play.setAttribute("aria-pressed", playing);
    if (document.activeElement !== this.speed) this.speed.value = String(speed);
  }

  /** Events known so far, as ticks on the line; they stay when one goes back. */
  events(rows) {
    const known = new Set(this.ticks.map((row) => row.event_id));
    this.ticks = this.ticks.concat(rows.filter((row) => !known.has(row.event_id))).slice(-MOST_TICKS);
    if (!this.transport) return;
    const { first_ms: first, last_ms: last } = this.transport;
    this.marks.replaceChildren(...this.ticks.map((row) => {
      const x = 1000 * (row.time_ms - first) / Math.max(1, last - first);
      return svg("path", { d: `M${x.toFixed(1)} 0v10`, class: `tick ${row.kind}` });
    }));
  }

  drag() {
    this.dragging = true;
    const to = Number(this.slider.value);
    say(this.at, clock(to, true));
    this.slider.setAttribute("aria-valuetext", `${clock(to)} UTC`);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => { this.dragging = false; this.seek(Number(this.slider.value)); }, 150);
  }

  async act(name, body) {
    if (!this.transport) return null;
    try { return await post(name, body); } catch (error) { toast(error.message, true); return null; }
  }

  toggle() { return this.act("play", { playing: !this.transport?.playing }); }
  seek(to) { clearTimeout(this.timer); return this.act("seek", { to_ms: to }); }
  step(direction) { if (this.transport) this.seek(this.transport.now_ms + direction * STEP_MS); }
  setSpeed(speed) { return this.act("play", { speed }); }

  faster(direction) {
    if (!this.transport) return;
    const next = SPEEDS[SPEEDS.indexOf(this.transport.speed) + direction];
    if (next) this.setSpeed(next);
  }

  async jump(kind, forward) {
    const answer = await this.act("jump", { kind, forward });
    if (answer && !answer.found) toast(`No ${forward ? "later" : "earlier"} ${kind.replace("-", " ")}.`);
  }
}
