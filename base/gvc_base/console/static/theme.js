// Dark for a tent at night, black on white for a screen in the sun; kept for the next time.

import { $ } from "./dom.js";

const KEY = "gvc-console-theme";

export function startTheme(onChange) {
  const asked = () => {
    try { return localStorage.getItem(KEY); } catch { return null; }
  };
  const system = matchMedia("(prefers-color-scheme: light), (prefers-contrast: more)").matches;
  const set = (theme) => {
    document.documentElement.dataset.theme = theme;
    $("theme").textContent = theme === "sun" ? "Dark" : "Sunlight";
    onChange();
  };
  const toggle = () => {
    const theme = document.documentElement.dataset.theme === "sun" ? "dark" : "sun";
    set(theme);
    try { localStorage.setItem(KEY, theme); } catch { /* a private window keeps nothing */ }
  };
  $("theme").addEventListener("click", toggle);
  set(asked() ?? (system ? "sun" : "dark"));
  return { toggle };
}
