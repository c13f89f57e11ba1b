// All pictures: one large with the others small above it, or all side by side. The layer is one for all.

import { $, announce, el, MARKS, percent, say, swatch } from "./dom.js";
import { Pane } from "./pane.js";

const HALF_BELOW_PX = 560;
const KEPT = 600;

const BANNERS = {
  marks: "MARKS ON",
  heat: "HEAT: how likely each tile is wrong",
  received: "RECEIVED ONLY: nothing made up",
  plain: "\u26A0 MARKS OFF - parts of this picture may be made up. M brings the marks back",
};

const NOTHING = "No drone heard yet. The base listens and records; this page shows the first picture by itself.";

export class Stage {
  constructor(app) {
    Object.assign(this, { app, panes: new Map(), layer: "marks", all: false, chosen: false });
    for (const button of $("layers").children) {
      button.addEventListener("click", () => this.setLayer(button.dataset.layer));
      button.addEventListener("keydown", (event) => this.roam(event));
    }
    $("all").addEventListener("click", () => this.setAll(!this.all));
    this.showLayer();
  }

  get pane() { return this.panes.get(this.app.selected) ?? null; }

  setLayer(layer) {
    if (layer === this.layer) return;
    this.layer = layer;
    this.showLayer();
    announce(BANNERS[layer]);
    this.watch();
  }

  roam(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const buttons = [...$("layers").children];
    const next = buttons[(buttons.indexOf(event.target) + step + buttons.length) % buttons.length];
    next.focus();
    this.setLayer(next.dataset.layer);
  }

  showLayer() {
    for (const button of $("layers").children) {
      const on = button.dataset.layer === this.layer;
      button.setAttribute("aria-checked", on);
      button.tabIndex = on ? 0 : -1;
    }
    const banner = $("banner");
    banner.dataset.layer = this.layer;
    this.whose = el("span");
    const parts = [el("strong", {}, BANNERS[this.layer], this.whose)];
    if (this.layer === "marks" || this.layer === "received") {
      this.legend = Object.keys(MARKS).map((mark) => {
        const share = el("span", { class: "share" });
        return { mark, share, node: el("span", { class: "entry", title: MARKS[mark] }, swatch(mark), `${mark} `, share) };
      });
      parts.push(el("span", { class: "legend", "aria-hidden": "true" }, ...this.legend.map((entry) => entry.node)));
    } else this.legend = [];
    if (this.layer === "heat") parts.push(el("span", { class: "ramp", "aria-hidden": "true" }, el("i", { text: "surely right" }), el("b"), el("i", { text: "surely wrong" })));
    banner.replaceChildren(...parts);
    this.showShares();
  }

  showShares() {
    // Of the layer that is shown, once it is.
    const header = this.pane?.header;
    const marks = (header?.layer === this.layer ? header.marks : this.app.drone?.mark_share) ?? {};
    for (const { mark, share, node } of this.legend) {
      const value = marks[mark] ?? marks[mark.toUpperCase()] ?? 0;
      const text = this.app.drone ? percent(value) : "";
      if (share.textContent !== text) share.textContent = text;
      node.classList.toggle("none", value === 0);
    }
    // Several pictures, one legend: it says whose.
    const many = (this.app.state?.drones.length ?? 0) > 1;
    say(this.whose, many && this.legend.length ? `, drone ${this.app.selected}` : "");
  }

  setAll(all) {
    this.all = all;
    this.chosen = true;
    this.update();
  }

  enlarge(drone) {
    this.all = false;
    this.chosen = true;
    this.app.select(drone);
  }

  update() {
    const { state, selected } = this.app;
    const drones = state.drones;
    const ids = new Set(drones.map((d) => d.drone_id));
    for (const [id, pane] of this.panes) {
      if (!ids.has(id)) { pane.root.remove(); this.panes.delete(id); }
    }
    for (const { drone_id: id } of drones) {
      if (!this.panes.has(id)) this.panes.set(id, new Pane(this.app, id));
    }
    $("nothing").hidden = drones.length > 0;
    say($("nothing"), NOTHING);
    $("all").hidden = drones.length < 2;
    if (!this.chosen) this.all = drones.length > 1;
    const all = this.all && drones.length > 1;
    $("all").setAttribute("aria-pressed", all);
    $("stage").dataset.count = all ? drones.length : 1;
    $("film").hidden = all || drones.length < 2;
    for (const drone of drones) this.place(drone, all, selected);
    this.showShares();
    this.watch();
  }

  place(drone, all, selected) {
    const pane = this.panes.get(drone.drone_id);
    const large = all || drone.drone_id === selected;
    const home = large ? $("stage") : $("film");
    if (pane.root.parentElement !== home) home.append(pane.root);
    pane.root.classList.toggle("small", !large);
    pane.root.classList.toggle("tiled", all);
    pane.root.classList.toggle("selected", drone.drone_id === selected);
    pane.update(drone, this.app.state.now_ms);
  }

  watch() {
    const wanted = {};
    for (const [id, pane] of this.panes) {
      const px = pane.view.clientWidth * Math.min(2, devicePixelRatio);
      wanted[id] = { layer: this.layer, half: px < HALF_BELOW_PX && (pane.header?.width ?? 0) >= 1.5 * px };
    }
    this.app.wire?.watch(wanted);
  }

  async picture(header, blob) {
    const pane = this.panes.get(header.drone);
    // A picture of the layer before may still be on its way: it must not stand under this layer's banner.
    if (pane && header.layer === this.layer) {
      try { await pane.picture(header, blob); } catch { /* a picture cut short; the next one comes */ }
    }
    const done = () => {
      this.app.wire.painted(header.drone, header.serial);
      painted.push({ drone: header.drone, serial: header.serial, unit: header.unit, at: performance.timeOrigin + performance.now() });
      if (painted.length > KEPT) painted.shift();
    };
    // After the frame that shows it; a hidden tab draws no frames, and goes slow.
    if (document.hidden) setTimeout(done, 1000);
    else requestAnimationFrame(done);
  }
}

/** What was painted when, for `make bench-console`. */
const painted = window.gvcPainted = [];
