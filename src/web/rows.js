// The list of events, the newest first: what is in it, which one is open, and how the reader walks through it.
import { byId, element, walkWithArrows, whole } from "./text.js";
import { rowOf } from "./row.js";

/** The event that is sent to the page, with the event, when one is opened; with null when it is closed. */
export const EVENT_OPENED = "event-opened";

const SHOWN_EVENTS = 2000;
/** Live, the list is kept shorter. */
const LIVE_EVENTS = 500;
/** The text of a longer event is not kept but asked for again when it is opened. */
const KEPT_TEXT = 100000;
/** Up to this many that come together are highlighted. */
const FEW = 3;

const list = byId("events");
/** What each row shows. */
const eventOf = new WeakMap();
/** What is marked in rows. */
let marked;
/** The seq of the event that is open; 0 if none is. */
let opened = 0;
/** The events that wait while the reader looks at older ones, and how many came. */
const held = { events: [], count: 0 };

const rows = () => [...list.querySelectorAll("li > .entry")];
const rowOfSeq = seq => list.querySelector(`.entry[data-seq="${seq}"]`);

export const count = () => list.childElementCount;
const seqIn = item => (item === null || item === undefined ? 0 : eventOf.get(item)?.seq ?? 0);
/** The greatest and the least seq in the list; 0 if there is none. */
export const newestSeq = () => held.events.at(-1)?.seq ?? seqIn([...list.children].find(item => eventOf.has(item)));
export const oldestSeq = () => seqIn([...list.children].findLast(item => eventOf.has(item)));

function itemOf(event) {
  if (event.gap) return element("li", "note", `Events ${event.gap.from} to ${event.gap.to} have been removed.`);
  if (event.note) return element("li", "note", event.note);
  const item = rowOf(event, marked);
  eventOf.set(item, event.raw.length > KEPT_TEXT ? { ...event, payload: null, raw: null } : event);
  if (event.seq === opened) item.firstChild.setAttribute("aria-current", "true");
  return item;
}

/** Starts over, with other marks and nothing shown. */
export function clear(marks) {
  marked = marks;
  list.replaceChildren();
  list.scrollTop = 0;
  [held.events, held.count] = [[], 0];
  showHeld();
}

/** Adds older events, the newest first, below. Returns whether the newest rows were given up for them. */
export function append(events) {
  list.append(...events.map(itemOf));
  const isFull = list.childElementCount > SHOWN_EVENTS;
  while (list.childElementCount > SHOWN_EVENTS) list.firstElementChild.remove();
  return isFull;
}

/** Adds events as they come, the oldest first, on top; while the reader looks at others they wait. */
export function prepend(events) {
  if (events.length === 0) return;
  if (list.scrollTop > 0) {
    held.count += events.filter(event => event.raw).length;
    held.events = held.events.concat(events).slice(-LIVE_EVENTS);
    showHeld();
    return;
  }
  const items = events.slice(-LIVE_EVENTS).map(itemOf).reverse();
  // If all of them are new, none is highlighted.
  if (items.length <= FEW) items.forEach(item => item.classList.add("new"));
  list.prepend(...items);
  while (list.childElementCount > LIVE_EVENTS) list.lastElementChild.remove();
}

function showHeld() {
  byId("held").hidden = held.count === 0;
  byId("held").textContent = `${whole.format(held.count)} new ↑`;
}

function release() {
  list.scrollTop = 0;
  if (held.count === 0) return;
  const { events, count } = held;
  [held.events, held.count] = [[], 0];
  const left = count - events.filter(event => event.raw).length;
  if (left > 0) events.unshift({ note: `… ${whole.format(left)} skipped` });
  prepend(events);
  showHeld();
}

/** Marks the row of an event as the one that is open. */
export function setOpened(seq) {
  rowOfSeq(opened)?.removeAttribute("aria-current");
  opened = seq;
  rowOfSeq(opened)?.setAttribute("aria-current", "true");
}

export function scrollToOpened() {
  rowOfSeq(opened)?.scrollIntoView({ block: "center" });
}

export const find = seq => eventOf.get(rowOfSeq(seq)?.parentElement);

function open(row) {
  document.dispatchEvent(new CustomEvent(EVENT_OPENED, { detail: eventOf.get(row.parentElement) }));
}

/** Opens the event a number of rows below the one that is open; the first if none is. */
export function step(by) {
  const all = rows();
  if (all.length === 0) return;
  const at = all.findIndex(row => Number(row.dataset.seq) === opened);
  const next = all[Math.min(Math.max(at < 0 ? 0 : at + by, 0), all.length - 1)];
  open(next);
  next.scrollIntoView({ block: "nearest" });
}

/** Puts the focus on the row of the event that was open. */
export const focusOpened = seq => rowOfSeq(seq)?.focus({ preventScroll: true });

list.addEventListener("click", clicked => {
  const row = clicked.target.closest(".entry");
  if (row) open(row);
});
list.addEventListener("scroll", () => { if (list.scrollTop === 0) release(); });
byId("held").addEventListener("click", release);
walkWithArrows(list);
