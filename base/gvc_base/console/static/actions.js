// What the operator can do: real pixels, keyframe, message, bookmark, note.

import { $, say, toast } from "./dom.js";
import { post } from "./wire.js";

const MESSAGE_BYTES = 1000;
const bytes = (text) => new TextEncoder().encode(text).length;

export class Actions {
  constructor(app) {
    Object.assign(this, { app, asked: new Map() });
    const on = (id, what) => $(id).addEventListener("click", what);
    on("do-region", () => this.startRegion());
    on("do-keyframe", () => this.keyframe());
    on("do-text", () => this.message());
    on("do-bookmark", () => this.bookmark());
    on("do-note", () => this.note());
    $("say-text").addEventListener("input", () => this.room());
    $("say-text").addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !$("say-ok").disabled) {
        event.preventDefault();
        $("say").close("ok");
      }
    });
  }

  update() {
    const { drone } = this.app;
    const can = drone?.can_ask ?? false;
    // Not `disabled`: who presses it learns why it cannot be.
    for (const id of ["do-region", "do-keyframe", "do-text"]) $(id).setAttribute("aria-disabled", !can);
    $("why-not").hidden = can || !drone;
    say($("why-not"), can ? "" : drone?.why_not || "Nothing can be asked of this drone.");
  }

  refused() {
    const { drone } = this.app;
    if (drone?.can_ask) return false;
    toast(drone ? drone.why_not || "Nothing can be asked of this drone." : "There is no drone yet.", true);
    return true;
  }

  startRegion() {
    if (this.refused()) return;
    this.app.stage.pane?.startBox();
    toast("Drag a box on the picture, or move its corner with the arrows and press Enter.");
  }

  async region(drone, box) {
    const row = await this.ask(drone, { ask: "region", box }, `asked for ${box[2]} x ${box[3]} px`);
    if (row) {
      this.asked.set(row.ask_id, box);
      this.app.lists.tab($("tab-asks"));
    }
  }

  keyframe() { if (!this.refused()) this.ask(this.app.selected, { ask: "keyframe" }, "keyframe asked for"); }

  async message() {
    if (this.refused()) return;
    const text = await this.write("Message to the operator at the drone", `Shown where the edge runs, drone ${this.app.selected}`, "Send", MESSAGE_BYTES);
    if (text) this.ask(this.app.selected, { ask: "text", text }, "message is on its way");
  }

  bookmark() { this.keep("", true, "bookmark kept"); }

  async note() {
    const text = await this.write("Note", "Kept in the archive, at this moment of the picture", "Keep", 2000);
    if (text) this.keep(text, false, "note kept");
  }

  async keep(text, bookmark, done) {
    if (!this.app.selected) { toast("There is no drone yet.", true); return; }
    try {
      await post("note", { drone: this.app.selected, text, bookmark });
      toast(done);
    } catch (error) { toast(error.message, true); }
  }

  async ask(drone, wanted, done) {
    try {
      const row = await post("ask", { drone, wanted });
      toast(done);
      return row;
    } catch (error) {
      toast(error.message, true);
      return null;
    }
  }

  /** A dialog for a text; resolves to it, or to "" when it was put off. */
  write(title, label, ok, most) {
    const dialog = $("say");
    this.most = most;
    $("say-title").textContent = title;
    $("say-label").textContent = label;
    $("say-ok").textContent = ok;
    $("say-text").value = "";
    this.room();
    dialog.returnValue = "";
    dialog.showModal();
    return new Promise((resolve) => {
      dialog.addEventListener("close", () => resolve(dialog.returnValue === "ok" ? $("say-text").value.trim() : ""), { once: true });
    });
  }

  room() {
    const used = bytes($("say-text").value.trim());
    say($("say-room"), `${this.most - used} bytes left`);
    $("say-ok").disabled = used === 0 || used > this.most;
  }

  /** Boxes asked of a drone: those of this browser, and those whose row names one. */
  boxes(drone) {
    return (this.app.state?.asks ?? []).filter((ask) => ask.drone_id === drone).flatMap((ask) => {
      const box = this.asked.get(ask.ask_id) ?? boxOf(ask.what);
      return box ? [{ box, open: ["waiting", "working"].includes(ask.state) }] : [];
    }).slice(-8);
  }
}

function boxOf(text) {
  const found = /(\d+),\s*(\d+),\s*(\d+),\s*(\d+)/.exec(text);
  return found ? found.slice(1).map(Number) : null;
}
