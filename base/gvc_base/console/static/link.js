// The link of the chosen drone: state at a glance, and seven small plots of the last minutes.

import { bits, el, HEALTH, healthBadge, percent, say, span } from "./dom.js";

const WINDOW_MS = 3 * 60 * 1000;
const KEPT = 700;
const STEPS = ["0 full", "1 fewer fps", "2 stills", "3 chips"];

const PLOTS = [
  { key: "bit_s", name: "On the air", show: (s) => bits(s.bit_s), lines: ["bit_s", "rate_bps"], least: 100,
    about: "bits a second, everything counted; dashed: what the edge says it sends at" },
  { key: "loss", name: "Loss, repaired", show: (s) => `${percent(s.loss).replace(" %", "")} \u2192 ${percent(s.loss_repaired)}`,
    lines: ["loss_repaired", "loss"], least: 0.1, about: "packets lost (dashed), units not whole after repair (solid)" },
  { key: "burst", name: "Burst", show: (s) => `${s.burst.toFixed(1)} pkt`, lines: ["burst"], least: 3,
    about: "mean length of a loss burst, packets" },
  { key: "rssi_dbm", name: "RSSI", show: (s) => (s.rssi_dbm === null ? "-" : `${s.rssi_dbm} dBm`), lines: ["rssi_dbm", "noise_dbm"],
    floats: true, about: "signal; dashed: noise" },
  { key: "airtime_left_s", name: "Airtime left", show: (s) => span(s.airtime_left_s), lines: ["airtime_left_s"], least: 10,
    about: "that this base may still send in this hour" },
  { key: "ladder_step", name: "Ladder", show: (s) => (s.ladder_step === null ? "-" : STEPS[s.ladder_step] ?? s.ladder_step),
    lines: ["ladder_step"], least: 3, steps: true, about: "0 full motion, 1 fewer frames, 2 stills, 3 chips" },
  { key: "since_good_s", name: "Last good unit", show: (s) => (s.since_good_s === null ? "-" : `${span(s.since_good_s)} ago`),
    lines: ["since_good_s"], least: 10, about: "since a unit came whole" },
];

export class LinkStrip {
  constructor(root) {
    Object.assign(this, { samples: new Map(), drone: null, now: 0 });
    this.badge = el("span", { class: "badge large" });
    this.about = el("span", { class: "about" });
    this.whose = el("span", { class: "whose" });
    this.plots = PLOTS.map((plot) => {
      const value = el("output", { text: "-" });
      const canvas = el("canvas", { "aria-hidden": "true" });
      const node = el("div", { class: "plot", title: plot.about, "data-plot": plot.key },
        el("span", { class: "name", text: plot.name }), value, canvas);
      return { ...plot, value, canvas, node };
    });
    root.append(el("div", { class: "state" }, this.whose, this.badge, this.about), ...this.plots.map((plot) => plot.node));
    new ResizeObserver(() => this.draw()).observe(root);
  }

  reset() { this.samples.clear(); this.draw(); }

  add(drone, rows) {
    const kept = (this.samples.get(drone) ?? []).concat(rows).slice(-KEPT);
    this.samples.set(drone, kept);
    if (drone === this.drone?.drone_id) this.draw();
  }

  update(drone, now, many) {
    const other = drone?.drone_id !== this.drone?.drone_id;
    Object.assign(this, { drone, now });
    if (!drone) { healthBadge(this.badge, "waiting"); say(this.about, HEALTH.waiting.about); return; }
    healthBadge(this.badge, drone.health);
    say(this.whose, many ? `Drone ${drone.drone_id}` : "");
    say(this.about, drone.health === "good" || !drone.sample || drone.sample.since_good_s === null
      ? HEALTH[drone.health].about : `last good ${span(drone.sample.since_good_s)} ago`);
    for (const plot of this.plots) {
      say(plot.value, drone.sample ? plot.show(drone.sample) : "-");
    }
    if (other) this.draw();
  }

  draw() {
    const rows = this.samples.get(this.drone?.drone_id) ?? [];
    const to = Math.max(this.now, rows.at(-1)?.time_ms ?? 0);
    const recent = rows.filter((s) => s.time_ms > to - WINDOW_MS);
    const style = getComputedStyle(document.documentElement);
    const ink = style.getPropertyValue("--text").trim();
    const faint = style.getPropertyValue("--line").trim();
    for (const plot of this.plots) drawPlot(plot, recent, to, ink, faint);
  }
}

function drawPlot(plot, rows, to, ink, faint) {
  const { canvas } = plot;
  const scale = Math.min(2, devicePixelRatio);
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (!width || !height) return;
  canvas.width = width * scale;
  canvas.height = height * scale;
  const g = canvas.getContext("2d");
  g.scale(scale, scale);
  g.strokeStyle = faint;
  g.beginPath();
  g.moveTo(0, height - 0.5);
  g.lineTo(width, height - 0.5);
  g.stroke();
  const values = plot.lines.flatMap((key) => rows.map((s) => s[key]).filter((v) => v !== null));
  if (!values.length) return;
  const low = plot.floats ? Math.min(...values) - 3 : 0;
  const high = plot.floats ? Math.max(...values, low + 10) + 3 : Math.max(plot.least, ...values) * 1.08;
  const x = (s) => width - ((to - s.time_ms) / WINDOW_MS) * width;
  const y = (v) => height - 2 - ((v - low) / (high - low)) * (height - 4);
  g.strokeStyle = ink;
  plot.lines.forEach((key, index) => {
    g.setLineDash(index ? [3, 3] : []);
    g.lineWidth = index ? 1 : 2;
    g.beginPath();
    let last = null;
    for (const s of rows) {
      if (s[key] === null) { last = null; continue; }
      // A gap in what was heard is a gap in the line.
      if (last === null || s.time_ms - last.time_ms > 5000) g.moveTo(x(s), y(s[key]));
      else {
        if (plot.steps) g.lineTo(x(s), y(last[key]));
        g.lineTo(x(s), y(s[key]));
      }
      last = s;
    }
    g.stroke();
  });
}
