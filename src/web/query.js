// What is searched for: the filters, as the server's routes take them, and what the page shows beside them. All of
// it stands in the address, in the same members, so that a link is a search.
import { split } from "./words.js";

/** The event that is sent to the page when something else is to be searched for. */
export const SEARCH_CHANGED = "search-changed";

/** Filters that may be given several times. */
const LISTS = ["topic", "source", "event_id", "where"];
const SINGLE = ["since", "until", "time"];
/** The number of events shown before and after one. */
const AROUND = 50;
/** An address without any filter asks for these; one that asks for all has this member, which servers pass over. */
const DEFAULT_SINCE = "1h";
const ALL = "_all";
const LIVE = "_live";
const EVENT = "_event";

/** Whether anything but the time is asked for. */
export const hasFilters = one => one.words.length > 0 || LISTS.some(name => one[name].length > 0);

/** What the address asks for now. `words` has the terms of `q`; `around` a seq, or 0. */
export let search = read();

function read() {
  const asked = new URLSearchParams(location.search);
  const read = {
    words: asked.getAll("q").flatMap(split),
    around: 0,
    event: Number(asked.get(EVENT)) || 0,
    isLive: asked.get(LIVE) !== "0",
  };
  for (const name of LISTS) read[name] = asked.getAll(name);
  for (const name of SINGLE) read[name] = asked.get(name) ?? "";
  if (asked.has("after")) read.around = Number(asked.get("after")) + AROUND + 1;
  read.isDefault = !asked.has(ALL) && !read.around && !hasFilters(read) && SINGLE.every(name => read[name] === "");
  if (read.isDefault) [read.since, read.time] = [DEFAULT_SINCE, "received"];
  return read;
}

function* members(one, without = []) {
  for (const name of LISTS) {
    if (!without.includes(name)) for (const value of one[name]) yield [name, value];
  }
  if (one.words.length > 0 && !without.includes("q")) yield ["q", one.words.join(" ")];
  for (const name of SINGLE) if (one[name] !== "" && !without.includes(name)) yield [name, one[name]];
}

/** Percent-encodes what an address needs, and no more. */
function encode(value) {
  return encodeURIComponent(value).replace(/%(3A|2C|2F|40|3D|2A)/g, escape => decodeURIComponent(escape));
}

const join = pairs => pairs.map(([name, value]) => `${name}=${encode(String(value))}`).join("&");

/** The filters as a query, without those named, and with more members. */
export function queryOf(one, more = {}, without = []) {
  return join([...members(one, without), ...Object.entries(more)]);
}

const beside = seq => ({ after: Math.max(0, seq - AROUND - 1), limit: 2 * AROUND + 1 });

/** The newest events that match; around an event those beside it. */
export function eventsPath(one, limit) {
  return `/events?${one.around ? join(Object.entries(beside(one.around))) : queryOf(one, { limit })}`;
}

/** The address of the page for a search. */
export function addressOf(one) {
  const pairs = one.around ? Object.entries(beside(one.around)) : [...members(one)];
  if (pairs.length === 0) pairs.push([ALL, "1"]);
  if (!one.isLive) pairs.push([LIVE, "0"]);
  if (one.event) pairs.push([EVENT, one.event]);
  return `/?${join(pairs)}`;
}

/** Searches for something else. What is not named stays; the event that was open is closed. */
export function change(changes) {
  search = { ...search, around: 0, event: 0, isDefault: false, ...changes };
  history.pushState(null, "", addressOf(search));
  document.dispatchEvent(new Event(SEARCH_CHANGED));
}

/** Notes in the address what does not change what is found. */
export function note(changes) {
  search = { ...search, ...changes };
  history.replaceState(null, "", addressOf(search));
}

/** Takes over what the address says, without sending an event. */
export function readAgain() {
  search = read();
}

/** A name of a member, or several with dots between them, as a path of a condition; null if none can name it. */
export function pathOf(names) {
  const path = names.map(name => (/^[^."=!~<>]+$/.test(name) ? name : JSON.stringify(name))).join(".");
  const isTaken = names.length > 0 && names.length <= 16 && names.every(name => name.isWellFormed?.() ?? true);
  return isTaken ? path : null;
}

const bytesOf = text => new TextEncoder().encode(text).length;
/** Of a longer string lists of values have the beginning alone. */
const WHOLE_VALUE = 125;

/** The condition that a member has this value, as `=` or `!=`. */
export function conditionOf(path, operator, value, isCut = bytesOf(value) >= WHOLE_VALUE) {
  if (isCut) return `${path}${operator}${JSON.stringify(value)}*`;
  return `${path}${operator}${/^"|\*$/.test(value) ? JSON.stringify(value) : value}`;
}

/** The path of a condition and its operator; null for what is not one. */
export function partsOfCondition(text) {
  const parts = /^(!?)((?:"(?:\\.|[^"\\])*"|[^"=!~<>])+)(?:(!=|!~|<=|>=|[=~<>])(.*))?$/s.exec(text);
  return parts && { isAbsent: parts[1] !== "", path: parts[2], operator: parts[3] ?? "", value: parts[4] ?? "" };
}

/** The words of a typed line, quotes kept together. */
const typed = text => text.match(/(?:"(?:\\["\\]|[^"])*"|[^\s"]|"(?=[^"]*$))+/g) ?? [];

const NAMED = { "topic:": "topic", "source:": "source", "id:": "event_id", "event_id:": "event_id" };

/** A condition as people type it: it begins like a name and has an operator outside quotes. */
function isCondition(token) {
  const parts = /^[A-Za-z_"!]/.test(token) ? partsOfCondition(token) : null;
  return parts !== null && (parts.operator !== "" || parts.isAbsent);
}

/** What is searched for when a line was typed in addition to what was asked for: changes for `change`. */
export function withTyped(one, line) {
  const changes = { words: [...one.words] };
  const add = (name, value) => {
    changes[name] ??= [...one[name]];
    if (!changes[name].includes(value)) changes[name].push(value);
  };
  for (const token of typed(line)) {
    const prefix = Object.keys(NAMED).find(name => token.startsWith(name) && token.length > name.length);
    if (prefix) add(NAMED[prefix], token.slice(prefix.length).replace(/^"(.*)"$/s, "$1"));
    else if (isCondition(token)) add("where", token);
    else changes.words.push(...split(token).filter(term => !changes.words.includes(term)));
  }
  return changes;
}

/** The search with a value of a list added, or without it if it is there. */
export function toggled(one, name, value) {
  const has = one[name].includes(value);
  return { [name]: has ? one[name].filter(other => other !== value) : [...one[name], value] };
}
