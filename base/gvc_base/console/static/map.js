// The map strip, without tiles from a net: metres around the mission, north up.

import { clock, el, say, span, svg } from "./dom.js";

const EARTH_M = 6371008.8;
const RAD = Math.PI / 180;
const MOST_AREAS = 400;
const EMPTY = { track: [], footprint: null, coverage: [], detections: [], requested: [] };

export class MapStrip {
  constructor(root) {
    Object.assign(this, { root, maps: new Map(), here: new Set(), drone: null, now: 0, zoom: 1 });
    this.picture = svg("svg", { role: "img", "aria-label": "Map", tabindex: "0" });
    this.where = el("span", { class: "where" });
    this.nothing = el("p", { class: "empty", text: "No position from this drone: the map stays empty." });
    const key = (name, kind) => el("span", { class: `key ${kind}` }, el("i"), name);
    const button = (text, label, factor) => el("button", { type: "button", text, "aria-label": label, onclick: () => this.zoomBy(factor) });
    this.tools = el("div", { class: "tools" }, button("+", "Closer to the drone", 2), button("\u2212", "Further away", 0.5), button("Fit", "The whole mission", 0));
    root.append(
      el("div", { class: "keys" }, key("track", "track"), key("in view", "footprint"),
        key("real pixels, 1 min", "coverage"), key("5 min", "coverage older"), key("older", "coverage old"),
        key("object", "detection"), key("asked", "requested")),
      this.picture, this.nothing,
      this.tools, this.where);
    new ResizeObserver(() => this.draw()).observe(root);
    this.picture.addEventListener("pointermove", (event) => this.point(event));
    this.picture.addEventListener("pointerleave", () => { this.pointed = false; this.tell(); });
  }

  set(drone, map) {
    this.maps.set(drone, map);
    if (drone === this.drone) this.draw();
  }

  update(drone, now, drones) {
    this.here = new Set(drones.map((d) => d.drone_id));
    const drawn = drone === this.drone && Math.abs(now - this.now) < 1000;
    this.drone = drone;
    if (drawn) return;
    this.now = now;
    this.draw();
  }

  zoomBy(factor) {
    this.zoom = factor ? Math.min(64, Math.max(1, this.zoom * factor)) : 1;
    this.draw();
  }

  draw() {
    const map = this.maps.get(this.drone) ?? EMPTY;
    const others = [...this.maps].filter(([drone, other]) => drone !== this.drone && this.here.has(drone) && other.track.length);
    const points = [...allPoints(map), ...others.flatMap(([, other]) => other.track)];
    this.nothing.hidden = points.length > 0;
    this.picture.toggleAttribute("hidden", points.length === 0);
    this.tools.hidden = points.length === 0;
    if (!points.length) { say(this.where, ""); return; }
    const width = this.picture.clientWidth || 300;
    const height = this.picture.clientHeight || 200;
    this.place(points, map, width, height);
    const line = (corners) => corners.map((c) => this.xy(c).map((v) => v.toFixed(1)).join(",")).join(" ");
    const area = (seen, kind, more = {}) => svg("polygon", { points: line(seen.corners), class: kind, ...more });
    const parts = [patterns()];
    for (const [drone, { track }] of others) {
      parts.push(svg("polyline", { points: line(track), class: "track other" }), this.aircraft(track, "other"), this.named(track, drone));
    }
    parts.push(...map.coverage.slice(-MOST_AREAS).map((seen) => {
      const age = (this.now - seen.time_ms) / 1000;
      const kind = ageClass(age);
      return fillTitle(area(seen, `coverage ${kind}`, { fill: kind === "fresh" ? null : `url(#seen-${kind})`, "fill-opacity": (0.15 + 0.7 * seen.received_share).toFixed(2) }),
        `real pixels: ${Math.round(100 * seen.received_share)} %, ${span(age)} old`);
    }));
    for (const seen of map.requested) parts.push(area(seen, "requested"));
    if (map.footprint) parts.push(area(map.footprint, "footprint"));
    if (map.track.length) parts.push(svg("polyline", { points: line(map.track), class: "track" }));
    for (const [lon, lat, kind] of map.detections) parts.push(detection(this.xy([lon, lat]), kind));
    if (map.track.length) parts.push(this.aircraft(map.track));
    if (map.track.length && others.length) parts.push(this.named(map.track, this.drone));
    parts.push(...this.bar(width, height), north(width));
    this.picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.picture.replaceChildren(...parts);
    this.picture.setAttribute("aria-label", `Map, north up: track of ${map.track.length} points, ${map.coverage.length} areas seen with real pixels, ${map.detections.length} detections, ${map.requested.length} requested`);
    this.tell();
  }

  /** Where a position lies on the strip: whole mission at zoom 1, else centred on the drone. */
  place(points, map, width, height) {
    const lats = points.map((p) => p[1]);
    const lons = points.map((p) => p[0]);
    const middle = [(Math.min(...lons) + Math.max(...lons)) / 2, (Math.min(...lats) + Math.max(...lats)) / 2];
    const east = RAD * EARTH_M * Math.cos(middle[1] * RAD);
    const north = RAD * EARTH_M;
    const wide = Math.max(20, (Math.max(...lons) - Math.min(...lons)) * east);
    const tall = Math.max(20, (Math.max(...lats) - Math.min(...lats)) * north);
    this.scale = Math.min((width - 32) / wide, (height - 32) / tall) * this.zoom;
    const at = this.zoom > 1 && map.track.length ? map.track.at(-1) : middle;
    this.xy = ([lon, lat]) => [width / 2 + (lon - at[0]) * east * this.scale, height / 2 - (lat - at[1]) * north * this.scale];
    this.lonlat = (x, y) => [at[0] + (x - width / 2) / this.scale / east, at[1] - (y - height / 2) / this.scale / north];
  }

  named(track, drone) {
    const [x, y] = this.xy(track.at(-1));
    return svg("text", { x: (x + 9).toFixed(1), y: (y - 7).toFixed(1), text: drone });
  }

  aircraft(track, kind = "") {
    const [x, y] = this.xy(track.at(-1));
    const [u, v] = this.xy(track.at(-4) ?? track[0]);
    const turn = Math.hypot(x - u, y - v) < 0.5 ? 0 : Math.atan2(x - u, v - y) / RAD;
    return svg("path", { d: "M0-9L6 7L0 3L-6 7Z", class: `aircraft ${kind}`, transform: `translate(${x.toFixed(1)} ${y.toFixed(1)}) rotate(${turn.toFixed(0)})` });
  }

  bar(width, height) {
    const room = Math.min(120, width / 3) / this.scale;
    const power = 10 ** Math.floor(Math.log10(room));
    const metres = [5, 2, 1].find((n) => n * power <= room) * power;
    const px = metres * this.scale;
    const name = metres >= 1000 ? `${metres / 1000} km` : `${metres} m`;
    return [
      svg("path", { d: `M10 ${height - 14}v6h${px}v-6`, class: "scale" }),
      svg("text", { x: 14, y: height - 14, class: "scale-text", text: name }),
    ];
  }

  point(event) {
    if (!this.lonlat) return;
    const area = this.picture.getBoundingClientRect();
    this.pointed = this.lonlat(event.clientX - area.left, event.clientY - area.top);
    this.tell();
  }

  /** A position to read out over the radio. */
  tell() {
    const at = this.pointed || (this.maps.get(this.drone) ?? EMPTY).track.at(-1);
    if (!at) { say(this.where, ""); return; }
    const name = this.pointed ? "pointer" : `drone at ${clock(at[2])}`;
    say(this.where, `${name}: ${Math.abs(at[1]).toFixed(5)}\u00B0 ${at[1] < 0 ? "S" : "N"} ${Math.abs(at[0]).toFixed(5)}\u00B0 ${at[0] < 0 ? "W" : "E"}`);
  }
}

function allPoints(map) {
  const corners = [map.footprint, ...map.coverage, ...map.requested].filter(Boolean).flatMap((f) => f.corners);
  return [...map.track, ...corners, ...map.detections];
}

function fillTitle(node, text) {
  node.append(svg("title", { text }));
  return node;
}

function detection([x, y], kind) {
  return svg("g", { class: "detection", transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})` },
    svg("path", { d: "M0-6L6 0L0 6L-6 0Z" }), svg("title", { text: kind }));
}

/** Age by pattern, not by colour alone: full, hatched, dotted. */
function patterns() {
  const pattern = (id, more, ...children) => svg("pattern", { id, width: 6, height: 6, patternUnits: "userSpaceOnUse", ...more }, ...children);
  return svg("defs", {},
    pattern("seen-older", { patternTransform: "rotate(45)" }, svg("rect", { width: 3, height: 6, class: "ink older" })),
    pattern("seen-old", {}, svg("circle", { cx: 3, cy: 3, r: 1.4, class: "ink old" })));
}

const ageClass = (seconds) => (seconds < 60 ? "fresh" : seconds < 300 ? "older" : "old");

const north = (width) => svg("g", { class: "north", transform: `translate(${width - 18} 22)` },
  svg("path", { d: "M0-14L5 4L0 1L-5 4Z" }), svg("text", { y: 16, "text-anchor": "middle", text: "N" }));
