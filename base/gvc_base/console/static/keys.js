// Everything by keyboard, and the page that says so.

import { $, el, HEALTH, MARKS, swatch } from "./dom.js";

const KEYS = [
  ["m  w  r  o", "layer: marks, wrong-heat, received only, marks off"],
  ["1 ... 9", "this drone large"],
  ["0", "all drones"],
  ["p", "to the picture; arrows move over its tiles (Shift: 8), Enter starts a box, Enter again asks for it, Esc gives it up"],
  ["x", "real pixels of a box"],
  ["k", "keyframe"],
  ["t", "message to the operator"],
  ["b  n", "bookmark, note"],
  ["+  -", "map closer, further"],
  ["s", "sunlight or dark"],
  ["Space", "replay: play, pause"],
  ["\u2190 \u2192", "replay: 5 s back, forward"],
  [",  .", "replay: slower, faster"],
  ["e  l  u", "replay: next event, loss, low trust; with Shift the one before"],
  ["?", "this page"],
];

export function startKeys(app) {
  const { stage, actions, replay, map } = app;
  fillHelp();
  const help = () => { if (!$("help").open) $("help").showModal(); };
  $("help-button").addEventListener("click", help);
  const jump = (kind) => (event) => replay.jump(kind, !event.shiftKey);
  const keys = {
    m: () => stage.setLayer("marks"), w: () => stage.setLayer("heat"),
    r: () => stage.setLayer("received"), o: () => stage.setLayer("plain"),
    0: () => stage.setAll(true), p: () => stage.pane?.frame.focus(),
    x: () => actions.startRegion(), k: () => actions.keyframe(), t: () => actions.message(),
    b: () => actions.bookmark(), n: () => actions.note(),
    "+": () => map.zoomBy(2), "-": () => map.zoomBy(0.5), s: () => app.theme.toggle(),
    " ": () => replay.toggle(), ArrowLeft: () => replay.step(-1), ArrowRight: () => replay.step(1),
    ",": () => replay.faster(-1), ".": () => replay.faster(1),
    e: jump("event"), l: jump("loss"), u: jump("low-trust"), "?": help,
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || document.querySelector("dialog[open]")) return;
    if (event.target.closest("input, textarea, select")) return;
    if ((event.key === " " || event.key === "Enter") && event.target.closest("button")) return;
    const drone = app.state?.drones[Number(event.key) - 1];
    const act = drone && event.key !== "0" ? () => stage.enlarge(drone.drone_id)
      : keys[event.key] ?? keys[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act(event);
  });
}

function fillHelp() {
  const rows = (pairs) => pairs.flatMap(([name, value]) => [el("dt", {}, name), el("dd", { text: value })]);
  $("help-body").append(
    el("dl", { class: "keys" }, ...rows(KEYS)),
    el("h3", { text: "Marks" }),
    el("dl", {}, ...Object.entries(MARKS).flatMap(([mark, about]) => [el("dt", {}, swatch(mark), ` ${mark}`), el("dd", { text: about })])),
    el("h3", { text: "Link" }),
    el("dl", {}, ...rows(Object.values(HEALTH).map(({ shape, word, about }) => [`${shape} ${word}`, about]))),
    el("p", { text: "The picture is seconds old and parts of it are estimates: not for piloting." }));
}
