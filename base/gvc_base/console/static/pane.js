// One drone's picture: canvas, boxes, the card of a tile, the dragged box.

import { clock, el, HEALTH, healthBadge, MARKS, percent, say, span, svg, swatch } from "./dom.js";
import { get } from "./wire.js";

const TILE = 8;
const DRAG_PX = 6;
const UNKNOWN_AGE_MS = 65535;

export class Pane {
  constructor(app, drone) {
    Object.assign(this, { app, drone, header: null, box: null, cursor: null, queue: null, flashed: null });
    this.name = el("strong", { text: `Drone ${drone}` });
    this.badge = el("span", { class: "badge" });
    this.age = el("span", { class: "age" });
    this.about = el("span", { class: "about" });
    this.canvas = el("canvas", { role: "img", width: 2, height: 2 });
    this.over = svg("svg", { class: "over", preserveAspectRatio: "none", "aria-hidden": "true" });
    this.card = el("div", { class: "card", hidden: true, role: "status" });
    this.lostAge = el("span");
    this.lostMore = el("span", { class: "more" });
    this.lost = el("p", { class: "cover", hidden: true }, this.lostAge, this.lostMore);
    this.frame = el("div", {
      class: "frame", tabindex: "0", role: "application",
      "aria-label": `Picture of drone ${drone}. Arrows move over its tiles, Enter starts a box.`,
    }, this.canvas, this.over,
      el("span", { class: "warning", text: "NOT FOR PILOTING" }), this.lost, this.card);
    this.view = el("div", { class: "view" }, this.frame);
    this.open = el("button", { type: "button", class: "open" }, this.name, this.badge);
    this.open.addEventListener("click", () => app.stage.enlarge(drone));
    this.root = el("figure", { class: "pane", "data-drone": drone },
      el("figcaption", {}, this.open, this.age, this.about), this.view);
    this.listen();
    new ResizeObserver(() => this.fit()).observe(this.view);
  }

  listen() {
    const frame = this.frame;
    frame.addEventListener("pointerdown", (event) => this.down(event));
    frame.addEventListener("pointermove", (event) => this.move(event));
    frame.addEventListener("pointerup", (event) => this.up(event));
    frame.addEventListener("pointercancel", () => this.cancel());
    // A finger leaves when it is lifted: what a tap brought stays until the next one.
    frame.addEventListener("pointerleave", (event) => { if (event.pointerType !== "touch" && !this.from && !this.box) this.hideCard(); });
    frame.addEventListener("keydown", (event) => this.key(event));
    frame.addEventListener("blur", () => { if (!this.box) { this.cursor = null; this.hideCard(); this.drawOver(); } });
  }

  // --- pictures ---------------------------------------------------------------------------------

  async picture(header, blob) {
    const bitmap = await createImageBitmap(blob);
    const { canvas } = this;
    if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
      canvas.width = bitmap.width;
      canvas.height = bitmap.height;
    }
    canvas.getContext("2d").drawImage(bitmap, 0, 0);
    bitmap.close();
    const first = !this.header || this.header.width !== header.width || this.header.share !== header.share;
    this.header = header;
    if (first) this.fit();
    this.drawOver();
    canvas.setAttribute("aria-label", this.told());
    canvas.dataset.serial = header.serial;
    canvas.dataset.layer = header.layer;
  }

  told() {
    const { marks, unit, layer } = this.header;
    const shares = Object.entries(marks).filter(([, share]) => share > 0)
      .map(([mark, share]) => `${percent(share)} ${mark}`).join(", ");
    return `Picture of drone ${this.drone}, unit ${unit}, layer ${layer}: ${shares}. Not for piloting.`;
  }

  fit() {
    // Before the first picture the frame still has to hold its warning and what it waits for.
    const ratio = this.header ? this.canvas.width / this.canvas.height : 16 / 9;
    const { clientWidth: wide, clientHeight: tall } = this.view;
    const width = Math.min(wide, tall * ratio);
    this.frame.style.width = `${width}px`;
    this.frame.style.height = `${width / ratio}px`;
    if (!this.header) return;
    this.over.style.height = `${this.header.share * 100}%`;
    this.over.setAttribute("viewBox", `0 0 ${this.header.width} ${this.header.height}`);
  }

  update(state, now) {
    healthBadge(this.badge, state.health);
    const since = state.sample?.since_good_s;
    const trusted = state.trusted === null ? "" : `, ${percent(state.trusted)} trusted`;
    say(this.about, state.unit_no < 0 ? (this.header ? "" : "nothing yet")
      : `${state.capture_us ? `taken ${clock(state.capture_us / 1000)}` : "time of exposure unknown"}${trusted}, unit ${state.unit_no}`);
    say(this.age, this.oldness(state, now));
    this.about.title = `${state.link_url}, ${state.profile_id}, ${state.label}, ${state.decoder}`;
    this.open.setAttribute("aria-label", `Drone ${this.drone}, ${state.health}`);
    // After a jump the picture of the other moment must not pass for one of this moment.
    const stale = state.unit_no < 0 && this.header !== null;
    this.root.classList.toggle("stale", stale);
    this.lost.hidden = !stale && state.health !== "lost" && state.health !== "waiting";
    if (stale) {
      say(this.lostAge, "\u2026 another moment's picture");
      say(this.lostMore, " - this one is being decoded");
    } else if (!this.lost.hidden) {
      const { shape, word } = HEALTH[state.health];
      say(this.lostAge, `${shape} ${word}`);
      say(this.lostMore, state.health === "waiting" ? " - nothing came yet" : since == null ? "" : ` - last good unit ${span(since)} ago`);
    }
    this.state = state;
    if (this.cursor && !this.dismissed && now - (this.askedAt ?? 0) > 900) this.showTile(this.cursor);
    this.drawOver();
  }

  /** How old the picture is: it ages while nothing comes. */
  oldness(state, now) {
    if (!this.header) return "";
    const held = this.app.state.transport ? 0 : Math.max(0, (now - this.header.shown_ms) / 1000);
    if (state.latency_s !== null) return `${span(state.latency_s + held)} old`;
    return held > 5 ? `shown for ${span(held)}` : "";
  }

  // --- what lies over the picture ---------------------------------------------------------------

  drawOver() {
    if (!this.header) return;
    const parts = [];
    const line = Math.max(1, this.header.width / 400);
    for (const box of this.header.boxes ?? []) parts.push(...this.drawn(box, line));
    for (const ask of this.app.actions.boxes(this.drone)) {
      parts.push(rect(ask.box, `asked ${ask.open ? "open" : "done"}`, line));
    }
    if (this.flashed) parts.push(rect(this.flashed, "flash", 2 * line));
    if (this.cursor && !this.box) {
      const [row, column] = this.cursor;
      parts.push(rect([column * TILE, row * TILE, TILE, TILE], "cursor", line));
    }
    if (this.box) parts.push(rect(this.box, "dragged", 1.5 * line));
    this.over.replaceChildren(...parts);
  }

  drawn(box, line) {
    const outline = rect([box.x, box.y, box.width, box.height], `object ${box.state ?? ""}`, line);
    // The same size on the screen whatever the picture's.
    const size = 13 * this.header.width / Math.max(1, this.frame.clientWidth);
    const sure = { confirmed: "", unconfirmed: "?", missed: " not in the picture" }[box.state] ?? "";
    const label = svg("text", {
      x: box.x, y: Math.max(size, box.y - 2 * line), "font-size": size, class: "label", text: `${box.kind ?? "object"}${sure}`,
    });
    return this.root.classList.contains("small") ? [outline] : [outline, label];
  }

  flash(box) {
    this.flashed = box;
    this.drawOver();
    clearTimeout(this.flashTimer);
    this.flashTimer = setTimeout(() => { this.flashed = null; this.drawOver(); }, 4000);
  }

  // --- pointer and keys -------------------------------------------------------------------------

  /** Source pixels under the pointer; null under the picture, on its strip. */
  at(event) {
    if (!this.header) return null;
    const area = this.over.getBoundingClientRect();
    const x = (event.clientX - area.left) / area.width;
    const y = (event.clientY - area.top) / area.height;
    return { x: x * this.header.width, y: y * this.header.height, inside: x >= 0 && x < 1 && y >= 0 && y < 1 };
  }

  down(event) {
    if (event.target.closest("button")) return;
    const at = this.at(event);
    if (!at?.inside || event.button !== 0) return;
    this.frame.setPointerCapture(event.pointerId);
    if (this.app.selected !== this.drone) this.app.select(this.drone);
    this.from = { ...at, px: event.clientX, py: event.clientY };
    this.box = null;
  }

  move(event) {
    const at = this.at(event);
    if (!at) return;
    if (this.from) {
      const far = Math.hypot(event.clientX - this.from.px, event.clientY - this.from.py);
      if (far < DRAG_PX && !this.box) return;
      this.box = this.between(this.from, at);
      this.hideCard();
      this.drawOver();
    } else if (!this.box && at.inside && event.pointerType !== "touch") {
      this.hover(tileOf(at), event);
    } else if (!this.box) this.hideCard();
  }

  up(event) {
    if (!this.from) return;
    const at = this.at(event);
    this.from = null;
    if (this.box) this.confirm();
    else if (this.root.classList.contains("small")) this.app.stage.enlarge(this.drone);
    else this.hover(tileOf(at), event);
  }

  cancel() {
    this.from = this.box = null;
    this.dismissed = true;
    this.hideCard();
    this.drawOver();
  }

  between(a, b) {
    const { width, height } = this.header;
    const grid = (value, top, up) => Math.min(top, Math.max(0, (up ? Math.ceil : Math.floor)(value / TILE) * TILE));
    const x = grid(Math.min(a.x, b.x), width, false);
    const y = grid(Math.min(a.y, b.y), height, false);
    const right = grid(Math.max(a.x, b.x), width, true);
    const foot = grid(Math.max(a.y, b.y), height, true);
    return [x, y, Math.max(TILE, right - x), Math.max(TILE, foot - y)];
  }

  hover(tile, event) {
    this.cursor = tile;
    this.dismissed = false;
    if (event) {
      const area = this.frame.getBoundingClientRect();
      this.placeCard(event.clientX - area.left, event.clientY - area.top);
    } else {
      const { clientWidth, clientHeight } = this.frame;
      const { width, height, share } = this.header;
      this.placeCard((tile[1] + 1) * TILE / width * clientWidth, (tile[0] + 1) * TILE / height * clientHeight * share);
    }
    this.drawOver();
    clearTimeout(this.hoverTimer);
    this.hoverTimer = setTimeout(() => this.showTile(tile), 60);
  }

  key(event) {
    if (!this.header) return;
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    const rows = Math.ceil(this.header.height / TILE);
    const columns = Math.ceil(this.header.width / TILE);
    if (step) {
      event.preventDefault();
      event.stopPropagation();
      const far = event.shiftKey ? 8 : 1;
      const [row, column] = this.cursor ?? [rows >> 1, columns >> 1];
      const to = [clamp(row + far * step[0], rows - 1), clamp(column + far * step[1], columns - 1)];
      if (this.corner) {
        this.cursor = to;
        this.box = this.between(centre(this.corner), centre(to));
        this.confirm();
      } else this.hover(to);
    } else if (event.key === "Enter" && !event.target.closest("button")) {
      event.preventDefault();
      if (this.box) this.request();
      else this.startBox();
    } else if (event.key === "Escape") {
      event.stopPropagation();
      this.corner = null;
      this.cancel();
    }
  }

  /** A box by keyboard, from the cursor or the middle. */
  startBox() {
    if (!this.header) return;
    const { width, height } = this.header;
    this.cursor = this.cursor ?? [Math.floor(height / TILE / 2), Math.floor(width / TILE / 2)];
    this.corner = this.cursor;
    const [row, column] = this.cursor;
    this.cursor = [clamp(row + 5, Math.ceil(height / TILE) - 1), clamp(column + 7, Math.ceil(width / TILE) - 1)];
    this.box = this.between(centre(this.corner), centre(this.cursor));
    this.frame.focus();
    this.confirm();
  }

  // --- cards ------------------------------------------------------------------------------------

  confirm() {
    this.drawOver();
    const [x, y, width, height] = this.box;
    const { can_ask: can, why_not: why } = this.state ?? {};
    const request = el("button", { type: "button", class: "primary", text: "Request real pixels", onclick: () => this.request() });
    request.disabled = !can;
    this.card.replaceChildren(
      el("strong", { text: `${width} x ${height} px at ${x}, ${y}` }),
      el("p", { text: can ? "" : why || "Nothing can be asked of this drone." }),
      el("div", { class: "row" }, el("button", { type: "button", text: "Cancel", onclick: () => { this.corner = null; this.cancel(); } }), request));
    this.card.classList.add("asking");
    const scale = this.frame.clientWidth / this.header.width;
    this.placeCard(x * scale, (y + height) * scale);
  }

  request() {
    const { box, drone } = this;
    this.corner = null;
    this.cancel();
    this.app.actions.region(drone, box);
  }

  async showTile(tile) {
    this.askedAt = this.app.state.now_ms;
    const [row, column] = tile;
    let source = null;
    try { source = await get(`tile/${encodeURIComponent(this.drone)}/${row}/${column}`); } catch { /* the picture went on */ }
    if (this.cursor !== tile || this.box || this.dismissed) return;
    if (!source) { this.hideCard(); return; }
    this.card.classList.remove("asking");
    this.card.replaceChildren(...tileCard(source));
    this.card.hidden = false;
  }

  placeCard(x, y) {
    const { card, frame } = this;
    card.hidden = this.box === null && card.childElementCount === 0;
    const width = card.offsetWidth || 220;
    const height = card.offsetHeight || 110;
    const left = x + 16 + width > frame.clientWidth ? x - width - 16 : x + 16;
    const top = y + 16 + height > frame.clientHeight ? y - height - 16 : y + 16;
    card.style.left = `${Math.max(4, Math.min(left, frame.clientWidth - width - 4))}px`;
    card.style.top = `${Math.max(4, Math.min(top, frame.clientHeight - height - 4))}px`;
  }

  hideCard() {
    if (!this.from) this.cursor = this.frame.matches(":focus-visible") ? this.cursor : null;
    this.card.hidden = true;
    this.card.replaceChildren();
    this.card.classList.remove("asking");
    clearTimeout(this.hoverTimer);
    this.drawOver();
  }
}

function tileCard(source) {
  const mark = source.mark.toLowerCase();
  const age = source.age_ms >= UNKNOWN_AGE_MS ? "over 65 s, or never" : span(source.age_ms / 1000);
  const rows = [["age", mark === "received" ? "this moment" : age], ["chance it is wrong", percent(source.p_wrong)]];
  rows.push(["came in", source.unit_no < 0 ? "unknown" : `unit ${source.unit_no}${source.part ? `, ${source.part}` : ""}`]);
  if (source.datagrams.length) {
    const more = source.datagrams.length > 4 ? ` and ${source.datagrams.length - 4} more` : "";
    rows.push(["datagrams", source.datagrams.slice(0, 4).join(", ") + more]);
  }
  if (source.verified) rows.push(["sender says", source.verified]);
  return [
    el("strong", {}, swatch(mark in MARKS ? mark : "lost"), ` ${mark}`), el("p", { text: MARKS[mark] ?? "" }),
    el("dl", {}, ...rows.flatMap(([name, value]) => [el("dt", { text: name }), el("dd", { text: value })])),
  ];
}

const rect = ([x, y, width, height], kind, line) =>
  svg("rect", { x, y, width, height, class: kind, "stroke-width": line });
const clamp = (value, top) => Math.min(top, Math.max(0, value));
const tileOf = ({ x, y }) => [Math.floor(y / TILE), Math.floor(x / TILE)];
const centre = ([row, column]) => ({ x: (column + 0.5) * TILE, y: (row + 0.5) * TILE });
