// One event with all that is in it: its members, which can be searched for, and its JSON.
import { ask, hasToken, reason } from "./ask.js";
import { indented, isString, leaves, parseEvent, textOf } from "./json.js";
import { classOf, memberOf } from "./level.js";
import { change, conditionOf, note, pathOf, search, SEARCH_CHANGED, toggled } from "./query.js";
import { marksOf, placesIn } from "./row.js";
import * as rows from "./rows.js";
import { EVENT_OPENED } from "./rows.js";
import { curlOf, eventPath, linkOf } from "./save.js";
import { appendMarked, button, byId, copy, element, setText, visible, visibleLines, whole } from "./text.js";
import { instantOf, partsOf, span } from "./times.js";

const SHOWN_VALUES = 300;
/** A value shows no more of a text at first, in characters, and the JSON no more at all. */
const VALUE_TEXT = 2000;
const JSON_TEXT = 500000;
/** The greatest length of a word or a condition, in characters. */
const WORD_TEXT = 200;

/** The event that is open; null if none is. */
let event = null;

function filterButton(sign, title, changes) {
  const made = button("sign", sign, title);
  made.addEventListener("click", () => change(changes));
  return made;
}

/** The buttons that search for a value, and for events without it. */
function filters(name, text) {
  if (text.length > WORD_TEXT) return [];
  if (name === "topic" || name === "source" || name === "event_id") {
    const word = `-"${text.replace(/["\\]/g, "\\$&")}"`;
    return [filterButton("+", `Only ${name} ${visible(text)}`, toggled({ ...search, [name]: [] }, name, text)),
      filterButton("−", `Without the words ${visible(text)}`, { words: [...search.words, word] })];
  }
  const shown = `${visible(name)} ${visible(text)}`;
  const where = operator => ({ where: [...search.where, conditionOf(name, operator, text, false)] });
  return [filterButton("+", `Only ${shown}`, where("=")), filterButton("−", `Without ${shown}`, where("!="))];
}

function row(label, className, fill, signs) {
  const made = element("tr");
  const head = element("th", "", visible(label));
  head.scope = "row";
  const value = element("td", className);
  fill(value);
  const cell = element("td", "signs");
  cell.append(...signs);
  made.append(head, value, cell);
  return made;
}

function plainRow(label, text, isName) {
  const marked = marksOf(search);
  const places = isName ? placesIn(text, marked) : [];
  return row(label, "", value => appendMarked(value, text, places), isName ? filters(label, text) : []);
}

function valueRow({ names, json }, marked, level) {
  const path = pathOf(names);
  const shown = names.join(".");
  const isValue = !"{[".includes(json[0]);
  const text = isValue ? textOf(json, VALUE_TEXT) : json;
  const isCut = json.length > VALUE_TEXT;
  const signs = path !== null && isValue && !isCut ? filters(path, text) : [];
  const kind = shown === level ? `level ${classOf(text)}` : isString(json) ? "" : "digits";
  return row(shown, kind, value => {
    appendMarked(value, text, isValue ? placesIn(text, marked, shown) : [], visibleLines);
    if (!isCut) return;
    const all = button("plain", `… show all, ${whole.format(json.length)} characters`);
    all.addEventListener("click", () => value.replaceChildren(visibleLines(textOf(json))));
    value.append(all);
  }, signs);
}

function showMembers() {
  const found = leaves(event.payload, SHOWN_VALUES + 1);
  const marked = marksOf(search);
  const level = memberOf(found.map(({ names }) => names.join(".")));
  const arrived = Date.parse(event.processed_at) - instantOf(event.timestamp);
  const delay = Number.isNaN(arrived) ? "" : ` (${arrived < 0 ? "−" : "+"}${span(arrived)})`;
  const { day, time } = partsOf(Date.parse(event.processed_at));
  byId("event-members").replaceChildren(
    ...["topic", "source", "event_id"].map(name => plainRow(name, event[name], true)),
    plainRow("timestamp", event.timestamp, false), plainRow("received", `${day} ${time}${delay}`, false),
    ...found.slice(0, SHOWN_VALUES).map(leaf => valueRow(leaf, marked, level)));
  if (found.length > SHOWN_VALUES) byId("event-members").append(plainRow("…", "The JSON below has all of it.", false));
}

function showJson() {
  const text = event.raw.length > JSON_TEXT ? `${event.raw.slice(0, JSON_TEXT)}` : event.raw;
  setText("event-text", indented(text) + (text === event.raw ? "" : "\n… (Copy JSON copies all of it)"));
}

/** Shows an event in the pane. */
async function open(found) {
  event = found;
  rows.setOpened(event.seq);
  note({ event: event.seq });
  byId("detail").hidden = false;
  document.body.classList.add("with-detail");
  setText("event-title", `Event ${event.seq}`);
  byId("event-members").replaceChildren();
  setText("event-text", "");
  const link = byId("event-link");
  link.href = eventPath(event);
  // Another tab has no token, and names that are dots alone are steps in a path.
  link.hidden = hasToken() || [event.topic, event.event_id].some(name => name === "." || name === "..");
  setText("event-state", "");
  if (event.raw === null && !await load()) return;
  showMembers();
  if (byId("event-json").open) showJson();
  byId("detail").scrollTop = 0;
}

/** Asks for the text of an event that was too long to be kept; returns whether it is there. */
async function load() {
  const wanted = event;
  setText("event-state", "loading");
  try {
    const answer = await ask(eventPath(event));
    if (!answer.ok) throw new Error(await reason(answer));
    const whole = parseEvent(await answer.text());
    if (event !== wanted) return false;
    event = whole;
    setText("event-state", "");
    return true;
  } catch (error) {
    if (event === wanted) setText("event-state", error.message);
    return false;
  }
}

export const isOpen = () => event !== null;

/** Closes the pane; the focus goes back to the event's row. */
export function close() {
  if (event === null) return;
  const { seq } = event;
  event = null;
  byId("detail").hidden = true;
  document.body.classList.remove("with-detail");
  rows.setOpened(0);
  if (search.event) note({ event: 0 });
  rows.focusOpened(seq);
}

document.addEventListener(EVENT_OPENED, opened => open(opened.detail));
document.addEventListener(SEARCH_CHANGED, () => {
  if (event !== null && search.event !== event.seq) close();
  else if (event?.raw) showMembers();
});
byId("event-json").addEventListener("toggle", () => { if (event?.raw && byId("event-json").open) showJson(); });
byId("event-close").addEventListener("click", close);
byId("event-copy").addEventListener("click", () => { if (event?.raw) copy(event.raw, byId("event-copy")); });
byId("event-curl").addEventListener("click", () => copy(curlOf(eventPath(event)), byId("event-curl")));
byId("event-search").addEventListener("click", () => copy(linkOf(event), byId("event-search")));
byId("event-around").addEventListener("click", () => change({ around: event.seq, event: event.seq }));
