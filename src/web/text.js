// Elements of the page, and numbers as people read them. Whatever comes from events is set as text and never
// as markup.

export const byId = id => document.getElementById(id);

/** Ends early when the signal says so. */
export function sleep(milliseconds, signal) {
  return new Promise(resolve => {
    setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", resolve, { once: true });
  });
}

export function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

export function setText(target, text) {
  const found = typeof target === "string" ? byId(target) : target;
  if (found.textContent !== text) found.textContent = text;
}

/** Control characters, and those that turn the direction of text, so that nothing can look like something else. */
const INVISIBLE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** The text with what cannot be seen written as JSON's escapes. */
export function visible(text) {
  return text.replace(INVISIBLE, found => `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

export const whole = new Intl.NumberFormat("en");

function withUnit(number, units) {
  let at = 0;
  while (number >= 999.5 && at < units.length - 1) { number /= 1000; at += 1; }
  return [at === 0 ? String(Math.round(number)) : number.toPrecision(3), units[at]];
}

export function count(number) {
  return number < 100000 ? whole.format(Math.round(number)) : withUnit(number, ["", "k", "M", "G", "T"]).join(" ");
}

/** Small rates have one decimal. */
export function rate(number) {
  return number > 0 && number < 10 ? number.toFixed(1) : count(number);
}

export function bytes(number) {
  return withUnit(number, ["B", "kB", "MB", "GB", "TB"]);
}

export function duration(seconds) {
  if (!Number.isFinite(seconds)) return ["–", ""];
  if (seconds < 0.0009995) return [(seconds * 1e6).toFixed(0), "µs"];
  return seconds < 0.9995 ? [(seconds * 1e3).toPrecision(3), "ms"] : [seconds.toPrecision(3), "s"];
}

export function ago(iso) {
  const seconds = Math.max(0, (Date.now() - Date.parse(iso)) / 1000);
  if (seconds < 2) return "now";
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} d`;
}

/** Lets the arrow keys, Home and End walk through the buttons of a list, which is one stop for Tab. */
export function walkWithArrows(list) {
  list.addEventListener("keydown", pressed => {
    const step = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity }[pressed.key];
    if (step === undefined || pressed.ctrlKey || pressed.altKey || pressed.metaKey) return;
    const buttons = [...list.querySelectorAll("button.entry")].filter(button => button.offsetParent !== null);
    if (buttons.length === 0) return;
    const at = buttons.indexOf(document.activeElement) + step;
    buttons[Math.min(Math.max(at, 0), buttons.length - 1)].focus();
    pressed.preventDefault();
  });
}
