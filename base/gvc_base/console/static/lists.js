// Events and detections, and what was asked.

import { $, announce, clock, el, say } from "./dom.js";

const KEPT = 300;

const KINDS = {
  detection: { icon: "\u25C6", name: "object", group: "objects" },
  alarm: { icon: "\u26A0", name: "alarm", group: "objects" },
  loss: { icon: "\u2716", name: "loss", group: "link" },
  link: { icon: "\u21C5", name: "link", group: "link" },
  session: { icon: "\u21BB", name: "session", group: "link" },
  storage: { icon: "\u25A4", name: "storage", group: "link" },
  asked: { icon: "\u2191", name: "asked", group: "asked" },
  answer: { icon: "\u2193", name: "answer", group: "asked" },
  text: { icon: "\u2709", name: "message", group: "notes" },
  note: { icon: "\u270E", name: "note", group: "notes" },
  bookmark: { icon: "\u2691", name: "bookmark", group: "notes" },
};
const GROUPS = [["all", "All"], ["objects", "Objects"], ["link", "Link"], ["asked", "Asked"], ["notes", "Notes"]];
const LOUD = new Set(["alarm", "detection", "text", "storage"]);

export class Lists {
  constructor(app) {
    Object.assign(this, { app, group: "all", rows: [], drawnAsks: "" });
    $("filters").append(...GROUPS.map(([id, name]) =>
      el("button", { type: "button", text: name, "aria-pressed": String(id === "all"), "data-group": id, onclick: () => this.filter(id) })));
    this.tabs = [$("tab-events"), $("tab-asks")];
    for (const tab of this.tabs) {
      tab.addEventListener("click", () => this.tab(tab));
      tab.addEventListener("keydown", (event) => {
        if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
        event.preventDefault();
        event.stopPropagation();
        const other = this.tabs.find((one) => one !== tab);
        this.tab(other);
        other.focus();
      });
    }
    setInterval(() => this.refreshPictures(), 1000);
  }

  tab(chosen) {
    for (const tab of this.tabs) {
      tab.setAttribute("aria-selected", tab === chosen);
      tab.tabIndex = tab === chosen ? 0 : -1;
      $(tab.getAttribute("aria-controls")).hidden = tab !== chosen;
    }
  }

  filter(group) {
    this.group = group;
    for (const button of $("filters").children) button.setAttribute("aria-pressed", button.dataset.group === group);
    $("events").replaceChildren(...this.rows.filter((row) => this.wanted(row)).map((row) => this.row(row)).reverse());
  }

  wanted(row) { return this.group === "all" || (KINDS[row.kind]?.group ?? "link") === this.group; }

  reset() {
    this.rows = [];
    $("events").replaceChildren();
  }

  add(rows) {
    const first = this.rows.length === 0;
    const last = this.rows.at(-1)?.event_id ?? -1;
    const fresh = rows.filter((row) => row.event_id > last);
    this.rows.push(...fresh);
    this.rows = this.rows.slice(-KEPT);
    const list = $("events");
    const atTop = list.scrollTop < 8;
    const before = list.scrollHeight;
    list.prepend(...fresh.filter((row) => this.wanted(row)).map((row) => this.row(row)).reverse());
    while (list.childElementCount > KEPT) list.lastElementChild.remove();
    // Who reads further down is not pushed away from the line.
    if (!atTop) list.scrollTop += list.scrollHeight - before;
    const loud = fresh.filter((row) => LOUD.has(row.kind)).at(-1);
    if (!first && loud) announce(`${KINDS[loud.kind].name}, drone ${loud.drone_id}: ${loud.text}`);
  }

  row(row) {
    const kind = KINDS[row.kind] ?? { icon: "\u2022", name: row.kind };
    const many = (this.app.state?.drones.length ?? 0) > 1;
    const chip = row.chip ? el("img", { src: `/api/chip/${row.event_id}.png`, alt: `Received pixels: ${row.text}`, loading: "lazy" }) : null;
    const button = el("button", { type: "button", class: "event", "aria-expanded": row.chip ? "false" : null },
      el("span", { class: "icon", "aria-hidden": "true", text: kind.icon }),
      el("span", { class: "what" }, el("span", { class: "when", text: `${clock(row.time_ms)} ${kind.name}${many && row.drone_id ? ` ${row.drone_id}` : ""}` }), el("span", { class: "text", text: row.text })),
      chip);
    button.addEventListener("click", () => this.choose(row, button));
    return el("li", { "data-kind": row.kind, "data-event": row.event_id }, button);
  }

  choose(row, button) {
    if (row.chip) {
      const open = button.classList.toggle("open");
      button.setAttribute("aria-expanded", open);
    }
    if (row.drone_id && row.drone_id !== this.app.selected && this.app.stage.panes.has(row.drone_id)) this.app.select(row.drone_id);
    if (row.box) this.app.stage.panes.get(row.drone_id)?.flash(row.box);
    if (this.app.state.transport) this.app.replay.seek(row.time_ms);
  }

  // --- asked ------------------------------------------------------------------------------------

  asks(asks) {
    const open = asks.filter((ask) => ["waiting", "working"].includes(ask.state)).length;
    say($("tab-asks"), open ? `Requests (${open} open)` : "Requests");
    const drawn = JSON.stringify(asks);
    if (drawn === this.drawnAsks) return;
    this.tellChanges(asks);
    this.drawnAsks = drawn;
    const list = $("asks");
    for (const ask of asks) {
      const node = list.querySelector(`[data-ask="${ask.ask_id}"]`) ?? this.newAsk(ask);
      if (!node.parentElement) list.prepend(node);
      this.fillAsk(node, ask);
    }
    const known = new Set(asks.map((ask) => String(ask.ask_id)));
    for (const node of [...list.children]) if (!known.has(node.dataset.ask)) node.remove();
  }

  /** How far the pictures had been from what was asked for and came. */
  truth(score) {
    const node = $("truth");
    node.hidden = !score;
    if (!score || node.dataset.told === JSON.stringify(score)) return;
    node.dataset.told = JSON.stringify(score);
    const share = (part) => `${Math.round((100 * part) / score.tiles)} %`;
    node.title = "True pixels that were asked for against what had been shown there. People ask where they doubt: other places are better than this.";
    node.replaceChildren(
      "The picture had been wrong in ", el("b", { text: share(score.wrong) }),
      ` of ${score.tiles} tiles asked for (${score.regions} region${score.regions > 1 ? "s" : ""}); expected ${share(score.expected)}; wrong though vouched for: `,
      el("b", { text: `${score.unmarked}` }));
  }

  tellChanges(asks) {
    const before = new Map((this.drawnAsks ? JSON.parse(this.drawnAsks) : []).map((ask) => [ask.ask_id, ask.state]));
    for (const ask of asks) {
      if (before.has(ask.ask_id) && before.get(ask.ask_id) !== ask.state) announce(`${ask.what}: ${ask.state}`);
    }
  }

  newAsk(ask) {
    return el("li", { "data-ask": ask.ask_id },
      el("span", { class: "what" }, el("span", { class: "when" }), el("span", { class: "text" }), el("span", { class: "about" })),
      el("span", { class: "state" }), el("img", { alt: "Received pixels", hidden: true }));
  }

  fillAsk(node, ask) {
    node.dataset.state = ask.state;
    node.dataset.picture = ask.picture;
    say(node.querySelector(".when"), `${clock(ask.asked_ms)} ${ask.drone_id}`);
    say(node.querySelector(".text"), ask.what);
    say(node.querySelector(".about"), ask.about);
    say(node.querySelector(".state"), ask.state);
    if (ask.picture) this.showAnswer(node, ask.ask_id);
  }

  /** Finer layers replace the coarse one: the picture is asked for again until all is there. */
  refreshPictures() {
    for (const node of $("asks").children) {
      if (node.dataset.picture === "true" && ["waiting", "working"].includes(node.dataset.state)) {
        this.showAnswer(node, node.dataset.ask);
      }
    }
  }

  showAnswer(node, id) {
    const next = new Image();
    next.onload = () => {
      const image = node.querySelector("img");
      image.src = next.src;
      image.hidden = false;
    };
    next.src = `/api/answer/${id}.png?at=${Date.now()}`;
  }
}

