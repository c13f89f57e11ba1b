// The console: what the base tells goes to the parts, what the operator does goes to the base.

import { $, announce, clock, el, HEALTH, say, toast } from "./dom.js";
import { adviceFor } from "./advice.js";
import { Wire } from "./wire.js";
import { Stage } from "./stage.js";
import { LinkStrip } from "./link.js";
import { MapStrip } from "./map.js";
import { Lists } from "./lists.js";
import { Actions } from "./actions.js";
import { ReplayBar } from "./replay.js";
import { startKeys } from "./keys.js";
import { startTheme } from "./theme.js";

class Console {
  constructor() {
    this.state = null;
    this.selected = null;
    this.health = {};
    this.stage = new Stage(this);
    this.link = new LinkStrip($("link"));
    this.map = new MapStrip($("map"));
    this.lists = new Lists(this);
    this.actions = new Actions(this);
    this.replay = new ReplayBar(this);
    this.theme = startTheme(() => { this.link.draw(); this.map.draw(); });
    startKeys(this);
    this.wire = new Wire({
      onMessage: (message) => this[`on_${message.type}`]?.(message),
      onPicture: (header, blob) => this.stage.picture(header, blob),
      onContact: (here, silent) => this.contact(here, silent),
    });
  }

  get drone() { return this.state?.drones.find((d) => d.drone_id === this.selected) ?? null; }

  on_state(state) {
    this.state = state;
    if (!this.drone) this.selected = state.drones[0]?.drone_id ?? null;
    this.top(state);
    this.hear(state.drones);
    this.stage.update();
    this.link.update(this.drone, state.now_ms, state.drones.length > 1);
    this.map.update(this.selected, state.now_ms, state.drones);
    this.lists.asks(state.asks);
    this.lists.truth(state.base.truth);
    this.actions.update();
    this.replay.update(state.transport);
    const advice = adviceFor(state, this.drone);
    $("advice").hidden = !advice;
    say($("advice"), advice);
  }

  on_samples({ drone, rows }) { this.link.add(drone, rows); }
  on_events({ rows }) { this.lists.add(rows); this.replay.events(rows); }
  on_map({ drone, map }) { this.map.set(drone, map); }
  on_trouble({ text }) { toast(text, true); }
  on_reset() { this.link.reset(); this.lists.reset(); }

  select(drone) {
    this.selected = drone;
    if (this.state) this.on_state(this.state);
  }

  /** What changes by itself and matters is said to who cannot see it. */
  hear(drones) {
    for (const { drone_id: id, health } of drones) {
      if (this.health[id] && this.health[id] !== health) {
        announce(`Link of drone ${id}: ${HEALTH[health].word}, ${HEALTH[health].about}`);
      }
      this.health[id] = health;
    }
  }

  contact(here, silent) {
    const node = $("contact");
    document.body.classList.toggle("away", !here);
    if (here) { node.hidden = true; return; }
    node.hidden = false;
    say(node, `\u2716 NO CONTACT WITH THE BASE for ${Math.floor(silent)} s - what you see is old. ${NO_CONTACT}`);
  }

  top({ base, drones, now_ms: now }) {
    const live = base.mode === "live";
    say($("mode"), live ? "\u25CF LIVE" : "\u25B6 REPLAY");
    $("mode").dataset.kind = base.mode;
    const open = drones.some((d) => d.label.startsWith("unauthenticated")) || base.label.startsWith("unauthenticated");
    say($("auth"), `${open ? "\u26A0 " : "\u2713 "}${base.label}`);
    $("auth").dataset.kind = open ? "open" : "sure";
    const free = `${(base.disk_free_bytes / 2 ** 30).toFixed(1)} GB free`;
    const room = base.disk_hours === null ? free : `${hours(base.disk_hours)} left`;
    say($("recording"), base.recording ? `\u25CF REC, ${room}` : live ? "\u2716 NOT RECORDING" : free);
    $("recording").dataset.kind = base.recording ? (base.disk_hours !== null && base.disk_hours < 1 ? "low" : "rec")
      : live ? "off" : "none";
    $("recording").title = `${base.archive}, ${free}`;
    say($("clock"), `${live ? "" : `${day(now)} `}${clock(now)} UTC`);
    const told = base.warnings.join("\n");
    if ($("warnings").dataset.told !== told) {
      $("warnings").dataset.told = told;
      $("warnings").replaceChildren(...base.warnings.map((text) => el("li", { text: `\u26A0 ${text}`, title: text })));
      if (told) announce(told);
    }
  }
}

const NO_CONTACT = "Look at the base's terminal, then at the cable or Wi-Fi to it. The page comes back by itself.";
const day = (ms) => new Date(ms).toISOString().slice(0, 10);
const hours = (h) => (h < 1 ? `${Math.floor(h * 60)} min` : h > 999 ? ">999 h" : `${Math.floor(h)} h`);

window.gvc = new Console();
