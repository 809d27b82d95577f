// One event as a row: its time, level, topic and source, and its payload as `name=value`.
import { classOf, memberOf } from "./level.js";
import { isString, leaves, textOf } from "./json.js";
import { partsOfCondition } from "./query.js";
import { instantOf, short } from "./times.js";
import { appendMarked, button, element, visible } from "./text.js";
import { marks, patterns } from "./words.js";

/** A row shows no more values of a payload, and looks for words in no more. */
const SHOWN_VALUES = 30;
const SEARCHED_VALUES = 500;
/** A row shows no more of a text, in characters, and looks for words in no more. */
const VALUE_TEXT = 200;
const SEARCHED_TEXT = 300000;
/** How much of a text is shown before its first mark if that is not near the beginning. */
const BEFORE_MARK = 40;
const MESSAGES = ["msg", "message", "body", "log", "error"];

/** The names of a path with dots between them, as rows show them. */
function namesIn(path) {
  try {
    return path.replace(/"(?:\\.|[^"\\])*"/g, quoted => JSON.parse(quoted));
  } catch {
    return path;
  }
}

/** What is marked: the words everywhere, and those of conditions in the values of their paths. */
export function marksOf(search) {
  const inPaths = new Map();
  for (const condition of search.where) {
    const parts = partsOfCondition(condition);
    if (parts?.operator !== "~") continue;
    const path = namesIn(parts.path);
    inPaths.set(path, [...inPaths.get(path) ?? [], ...patterns([parts.value])]);
  }
  return { words: patterns(search.words), inPaths };
}

/** The places of a text that are marked. */
export function placesIn(text, marked, path) {
  const own = marked.inPaths.get(path) ?? [];
  return marked.words.length + own.length === 0 ? [] : marks(text, [...marked.words, ...own]);
}

/** The text around its first mark, and the marks in it. */
function cut(text, places) {
  const from = text.length > VALUE_TEXT && places[0]?.[0] > VALUE_TEXT - BEFORE_MARK ? places[0][0] - BEFORE_MARK : 0;
  const to = from + VALUE_TEXT;
  const [start, end] = [from > 0 ? "…" : "", to < text.length ? "…" : ""];
  const shift = from - start.length;
  const shown = places.filter(place => place[1] <= to).map(place => place.map(at => at - shift));
  return { text: start + text.slice(from, to) + end, places: shown };
}

/** The values of a payload: their paths, texts and marks. */
function valuesOf(event, marked) {
  const isSearched = marked.words.length + marked.inPaths.size > 0;
  const values = leaves(event.payload, isSearched ? SEARCHED_VALUES : SHOWN_VALUES).map(({ names, json }) => {
    const path = names.join(".");
    const text = textOf(json, isSearched ? SEARCHED_TEXT : 2 * VALUE_TEXT);
    const isBare = !isString(json) || /^[^\s"=,]+$/.test(text);
    return { path, isWhole: names.length === 0, isBare, ...cut(text, placesIn(text, marked, path)) };
  });
  const level = memberOf(values.map(({ path }) => path));
  const weight = ({ path, places }) => {
    if (path === level) return 0;
    if (MESSAGES.includes(path)) return 1;
    return places.length > 0 ? 2 : 3;
  };
  values.forEach((value, at) => { value.order = weight(value) * values.length + at; });
  return { level, values: values.sort((a, b) => a.order - b.order).slice(0, SHOWN_VALUES) };
}

function appendValue(target, value, level) {
  if (!value.isWhole) target.append(element("span", "name", `${visible(value.path)}=`));
  const shown = element("span", value.path === level ? `level ${classOf(value.text)}` : "value");
  if (value.isBare) appendMarked(shown, value.text, value.places);
  else {
    shown.append("\"");
    appendMarked(shown, value.text, value.places);
    shown.append("\"");
  }
  target.append(shown, " ");
}

function marked(className, text, found) {
  const made = element("span", className);
  appendMarked(made, text, placesIn(text, found));
  return made;
}

/** The row of an event. */
export function rowOf(event, found) {
  const item = element("li");
  const row = button("entry");
  row.tabIndex = -1;
  row.dataset.seq = event.seq;
  const { level, values } = valuesOf(event, found);
  const levelText = level === undefined ? "" : values.find(({ path }) => path === level).text;
  const bar = element("span", `bar ${classOf(levelText) || "none"}`);
  const time = element("time", "time", short(instantOf(event.timestamp)));
  time.title = `${event.timestamp} (received ${event.processed_at})`;
  const text = element("span", "text");
  for (const value of values) appendValue(text, value, level);
  text.append(marked("id", event.event_id, found));
  row.append(bar, time, marked("topic", event.topic, found), marked("source", event.source, found), text);
  item.append(row);
  return item;
}
