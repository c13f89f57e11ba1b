// Small helpers: elements without markup strings (nothing that comes over the radio is ever parsed as HTML).

const SVG = "http://www.w3.org/2000/svg";

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "text") node.textContent = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export const $ = (id) => document.getElementById(id);
export const el = (tag, props, ...children) => fill(document.createElement(tag), props, children);
export const svg = (tag, props, ...children) =>
  fill(document.createElementNS(SVG, tag), props, children);

/** Set text only where it changed: screen readers read what changes. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function toast(text, bad = false) {
  const node = $("toast");
  node.textContent = text;
  node.classList.toggle("bad", bad);
  node.classList.add("shown");
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => node.classList.remove("shown"), bad ? 8000 : 4000);
}

export const announce = (text) => { $("announce").textContent = text; };

const two = (number) => String(Math.floor(number)).padStart(2, "0");

/** UTC time of day: what the log, the radio operator and the archive agree on. */
export function clock(ms, tenths = false) {
  if (!ms) return "--:--:--";
  const at = new Date(ms);
  const text = `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())}`;
  return tenths ? `${text}.${Math.floor(at.getUTCMilliseconds() / 100)}` : text;
}

/** A span of seconds in few characters. */
export function span(seconds) {
  if (seconds === null || seconds === undefined) return "-";
  if (seconds < 9.95) return `${Math.max(0, seconds).toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h`;
}

export function bits(rate) {
  if (rate === null || rate === undefined) return "-";
  if (rate < 1000) return `${Math.round(rate)} bit/s`;
  if (rate < 1e6) return `${(rate / 1000).toFixed(rate < 1e4 ? 1 : 0)} kbit/s`;
  return `${(rate / 1e6).toFixed(1)} Mbit/s`;
}

/** Never rounds something to nothing, nor nearly all to all. */
export function percent(share) {
  if (share === null || share === undefined) return "-";
  if (share > 0 && share < 0.01) return "<1 %";
  if (share > 0.99 && share < 1) return ">99 %";
  return `${Math.round(share * 100)} %`;
}

export const HEALTH = {
  good: { word: "GOOD", shape: "\u25CF", about: "units come whole and in time" },
  degraded: { word: "DEGRADED", shape: "\u25B2", about: "units come with holes, or late: look at the marks" },
  lost: { word: "LOST", shape: "\u2716", about: "nothing comes" },
  waiting: { word: "WAITING", shape: "\u25CB", about: "nothing came yet" },
};

export function healthBadge(node, health) {
  const known = HEALTH[health] ?? HEALTH.waiting;
  if (node.dataset.health === health) return;
  node.dataset.health = health;
  node.replaceChildren(el("span", { "aria-hidden": "true", text: known.shape }), ` ${known.word}`);
}

export const MARKS = {
  received: "arrived: these pixels, of this moment",
  carried: "arrived at another moment, moved here",
  enhanced: "only low resolution arrived, detail is estimated",
  regenerated: "made up to fill a hole",
  lost: "nothing arrived: an old picture, held or moved by guess",
};

/** A piece of a mark's pattern, as patterns.py draws it. */
export function swatch(mark) {
  const at = { class: "swatch", viewBox: "0 0 24 16", "aria-hidden": "true" };
  const back = svg("rect", { width: 24, height: 16, fill: mark === "lost" ? "#333" : "#808080" });
  const parts = {
    received: [],
    carried: [4, 12, 20].flatMap((x) => [4, 12].flatMap((y) => [
      svg("rect", { x: x - 2.5, y: y - 2.5, width: 5, height: 5, fill: "#333" }),
      svg("rect", { x: x - 1.5, y: y - 1.5, width: 3, height: 3, fill: "#56b4e9" })])),
    enhanced: [3, 11].flatMap((y) => [
      svg("rect", { x: 0, y, width: 24, height: 2, fill: "#f0e442" }),
      svg("rect", { x: 0, y: y + 2, width: 24, height: 1, fill: "#333" })]),
    regenerated: [svg("path", { d: "M-4 12L8 0M2 18L20 0M14 18L32 0", stroke: "#d55e00", "stroke-width": 4 })],
    lost: [svg("path", { d: "M0 0L16 16M8 0L24 16M16 0L0 16M24 0L8 16", stroke: "#fff", "stroke-width": 1.5 })],
  }[mark];
  return svg("svg", at, back, ...parts);
}
