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

const SHORT_ESCAPES = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

const escape = found => SHORT_ESCAPES[found] ?? `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`;

/** The text with what cannot be seen written as JSON's escapes. */
export function visible(text) {
  return text.replace(INVISIBLE, escape);
}

/** The same of a text that is shown with its lines. */
export function visibleLines(text) {
  return text.replace(/\r\n/g, "\n").replace(INVISIBLE, found => ("\n\t".includes(found) ? found : escape(found)));
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

const SVG = "http://www.w3.org/2000/svg";

export function svg(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

export function button(className, text, name) {
  const made = element("button", className, text);
  made.type = "button";
  if (name !== undefined) {
    made.title = name;
    made.setAttribute("aria-label", name);
  }
  return made;
}

/** Appends a text, with `mark` around the places that are given as pairs of offsets. `show` writes what cannot be seen. */
export function appendMarked(target, text, places, show = visible) {
  let from = 0;
  for (const [start, end] of places) {
    target.append(show(text.slice(from, start)), element("mark", "", show(text.slice(start, end))));
    from = end;
  }
  target.append(show(text.slice(from)));
}

/** Puts a text into the clipboard and says so on the button for a moment. */
export async function copy(text, pressed) {
  const label = pressed.textContent;
  let said = "Copied";
  try {
    // Browsers give pages that are neither local nor encrypted no clipboard.
    if (navigator.clipboard) await navigator.clipboard.writeText(text);
    else copyOld(text);
  } catch {
    said = "Not allowed by the browser";
  }
  setText(pressed, said);
  setTimeout(() => setText(pressed, label), 1500);
}

function copyOld(text) {
  const area = element("textarea", "beside");
  area.value = text;
  (document.querySelector("dialog[open]") ?? document.body).append(area);
  const focused = document.activeElement;
  area.select();
  const isCopied = document.execCommand("copy");
  area.remove();
  focused?.focus();
  if (!isCopied) throw new Error("not copied");
}

/** Opens and closes a menu with its button; a click elsewhere and Escape close it. */
export function menu(opener, list) {
  const set = is => {
    list.hidden = !is;
    opener.setAttribute("aria-expanded", String(is));
  };
  opener.addEventListener("click", () => {
    set(list.hidden);
    if (!list.hidden) list.querySelector("button, input, a")?.focus();
  });
  document.addEventListener("pointerdown", pressed => {
    if (!list.contains(pressed.target) && !opener.contains(pressed.target)) set(false);
  });
  list.parentElement.addEventListener("keydown", pressed => {
    if (pressed.key !== "Escape" || list.hidden) return;
    set(false);
    opener.focus();
    pressed.stopPropagation();
  });
  set(false);
  return () => set(false);
}
