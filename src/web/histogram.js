// How many events there are by time, by level. A part of it can be chosen, and becomes what is searched.
import { classOf, LEVELS } from "./level.js";
import { get } from "./live.js";
import { parsePage } from "./json.js";
import { change, hasFilters, queryOf, search } from "./query.js";
import { byId, setText, svg, whole } from "./text.js";
import { edge, span } from "./times.js";

const BUCKETS = 90;
const FEW_BUCKETS = 45;
/** Below this width, in pixels, the page is narrow. */
const NARROW = 700;
/** All events are drawn where those that match are not below this part of them; else their own scale is better. */
const COMMON_SCALE = 0.05;
const LABEL = 14;
/** A shorter way of the mouse is a click, in pixels. */
const CLICK = 4;

const target = byId("histogram");

/** What is drawn: `start` and `interval` in milliseconds, `counts` by class of level, and `all` without filters. */
let drawn = null;
/** The first and the last bucket that are chosen; null if none are. */
let chosen = null;
/** The moment of the first event, for searches without a beginning, with the database it is of. */
let first = null;

/** The moment at which the first event came; `1h` if there is none. */
async function beginning(signal) {
  const answer = await get("/events?after=0&limit=1", { signal });
  const id = answer.headers.get("Log-Aggregator-Database");
  if (first?.id !== id) {
    const [event] = parsePage(await answer.text()).events;
    if (event === undefined) return "1h";
    first = { id, at: event.processed_at };
  } else await answer.body?.cancel();
  return first.at;
}

/** Which time is meant where the search does not say when to begin: all that came. */
async function times(signal) {
  if (search.since) return {};
  return { since: await beginning(signal), ...search.until ? {} : { time: "received" } };
}

/** Which time is drawn. */
const timeOf = () => (search.since || search.until ? search.time : "received");

const add = (to, counts) => counts.forEach((count, at) => { to[at] += count; });

/** Goes through all answers; `tell` gets what has been counted so far after each. */
async function walk(path, signal, tell) {
  let whole = null;
  while (path !== null) {
    const part = await (await get(path, { signal })).json();
    if (whole === null) {
      const none = () => part.counts.map(() => 0);
      whole = { ...part, levels: new Map(LEVELS.map(level => [level, none()])), counts: none(), matched: 0 };
    }
    add(whole.counts, part.counts);
    whole.matched += part.matched;
    for (const { value, counts } of part.series ?? []) add(whole.levels.get(classOf(value)), counts);
    if (part.rest) add(whole.levels.get(""), part.rest.counts);
    path = part.next;
    whole.isPart = path !== null;
    signal.throwIfAborted();
    tell(whole);
  }
  return whole;
}

/** Asks for the counts and draws them; `member` says the level. */
export async function loadHistogram(signal, member = "level") {
  byId("histogram-box").hidden = Boolean(search.around);
  if (search.around) return;
  const buckets = target.clientWidth < NARROW ? FEW_BUCKETS : BUCKETS;
  const since = await times(signal);
  const without = Object.keys(since);
  const begun = performance.now();
  const isFiltered = hasFilters(search);
  const show = (matched, all) => {
    const [start, interval] = [Date.parse(matched.start), matched.interval * 1000];
    drawn = { matched, all, start, interval, took: performance.now() - begun };
    draw();
    tell();
  };
  const path = `/histogram?${queryOf(search, { ...since, buckets, by: member }, without)}`;
  const matched = await walk(path, signal,
    part => { if (!isFiltered || drawn === null || part.isPart) show(part, null); });
  if (!isFiltered) return;
  const unfiltered = { ...search, words: [], topic: [], source: [], event_id: [], where: [] };
  const all = queryOf(unfiltered, { ...since, buckets }, without);
  await walk(`/histogram?${all}`, signal, part => show(matched, part));
}

function tell() {
  byId("histogram-box").classList.remove("pending");
  const { matched, all, took } = drawn;
  const more = matched.isPart || all?.isPart ? " so far" : "";
  const found = whole.format(matched.matched);
  const range = search.since ? span(Date.parse(matched.until) - Date.parse(matched.since)) : "all";
  const what = all === null ? `${found} events` : `${found} of ${whole.format(all.matched)} events match`;
  setText("matched", `${what}${more} · ${range} in ${span(took)}`);
  setText("from", `${timeOf() === "received" ? "received " : ""}${edge(drawn.start, matched.interval)}`);
  const until = Date.parse(matched.until);
  setText("to", `${edge(until, matched.interval)}${Date.now() - until < 60000 ? " now" : ""}`);
}

/** The next round number. */
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, value)));
  return [1, 1.5, 2, 3, 4, 5, 6, 8].map(step => step * power).find(step => step >= value) ?? 10 * power;
}

function draw() {
  const { matched, all } = drawn;
  const [width, height] = [target.clientWidth || 700, target.clientHeight || 90];
  const most = Math.max(...matched.counts, 1);
  const mostOfAll = all === null ? 0 : Math.max(...all.counts);
  const hasAll = all !== null && all.counts.length === matched.counts.length && most >= COMMON_SCALE * mostOfAll;
  const top = ceiling(hasAll ? Math.max(most, mostOfAll) : most);
  const step = width / matched.counts.length;
  const bar = (at, from, count, className) => {
    const size = Math.max(count > 0 ? 1.5 : 0, count / top * (height - LABEL));
    const [x, y] = [at * step + step * 0.08, height - from - size];
    const box = { x, y, width: step * 0.84, height: size };
    for (const [name, value] of Object.entries(box)) box[name] = value.toFixed(2);
    parts.push(svg("rect", { class: className, ...box }));
    return from + size;
  };
  const parts = [];
  matched.counts.forEach((count, at) => {
    if (hasAll && all.counts[at] > 0) bar(at, 0, all.counts[at], "all");
    let from = 0;
    for (const level of [...LEVELS].reverse()) {
      const part = matched.levels.get(level)[at];
      if (part > 0) from = bar(at, from, part, level || "none");
    }
  });
  if (chosen) {
    const [from, to] = order(chosen);
    parts.push(svg("rect", { class: "chosen", x: from * step, y: 0, width: (to - from + 1) * step, height }));
  }
  const label = chosen ? described(...order(chosen)) : `${whole.format(top)} per ${span(drawn.interval)}`;
  parts.push(svg("text", { x: 4, y: 11 }, label));
  target.setAttribute("viewBox", `0 0 ${width} ${height}`);
  target.setAttribute("aria-valuemax", String(matched.counts.length - 1));
  target.replaceChildren(...parts);
}

const order = ([from, to]) => (from <= to ? [from, to] : [to, from]);

/** Buckets as a sentence: when they are and what is in them. */
function described(from, to) {
  const { matched, start, interval } = drawn;
  const sum = counts => counts.slice(from, to + 1).reduce((total, count) => total + count, 0);
  const levels = LEVELS.filter(level => level && sum(matched.levels.get(level)) > 0)
    .map(level => `${whole.format(sum(matched.levels.get(level)))} ${level}`);
  const time = `${edge(start + from * interval, matched.interval)} to ${edge(start + (to + 1) * interval, matched.interval)}`;
  return `${time}: ${whole.format(sum(matched.counts))} events${levels.length > 0 ? ` (${levels.join(", ")})` : ""}`;
}

function choose(range) {
  chosen = range;
  if (drawn === null) return;
  draw();
  target.setAttribute("aria-valuenow", String(range?.[1] ?? 0));
  target.setAttribute("aria-valuetext", range ? described(...order(range)) : "no part is chosen");
}

/** Searches what is chosen, which is cut at the edges of what was searched. */
function zoom() {
  const [from, to] = order(chosen);
  const { matched, start, interval } = drawn;
  const since = Math.max(start + from * interval, Date.parse(matched.since));
  const until = Math.min(start + (to + 1) * interval, Date.parse(matched.until));
  const time = timeOf();
  choose(null);
  if (until > since) change({ since: written(since), until: written(until), time });
}

/** A moment as people write it. */
const written = instant => new Date(instant).toISOString().replace(/[.]000Z$/, "Z");

function bucketAt(event) {
  const box = target.getBoundingClientRect();
  const at = Math.floor((event.clientX - box.left) / box.width * drawn.matched.counts.length);
  return Math.min(Math.max(at, 0), drawn.matched.counts.length - 1);
}

/** Where the mouse was pressed; null while it is not. */
let pressedAt = null;

target.addEventListener("pointerdown", pressed => {
  if (drawn === null || pressed.button !== 0) return;
  pressedAt = { x: pressed.clientX, bucket: bucketAt(pressed) };
  target.setPointerCapture(pressed.pointerId);
  choose([pressedAt.bucket, pressedAt.bucket]);
});
target.addEventListener("pointermove", moved => {
  if (drawn === null) return;
  const at = bucketAt(moved);
  if (pressedAt) choose([pressedAt.bucket, at]);
  else choose([at, at]);
});
target.addEventListener("pointerup", released => {
  if (pressedAt === null) return;
  const isClick = Math.abs(released.clientX - pressedAt.x) < CLICK;
  const isTouch = released.pointerType !== "mouse";
  pressedAt = null;
  // A finger that touches once asks what is there.
  if (!(isClick && isTouch)) zoom();
});
target.addEventListener("pointercancel", () => { pressedAt = null; choose(null); });
target.addEventListener("pointerleave", () => { if (pressedAt === null) choose(null); });
target.addEventListener("blur", () => choose(null));
target.addEventListener("keydown", pressed => {
  if (drawn === null) return;
  const last = drawn.matched.counts.length - 1;
  const [from, to] = chosen ?? [last, last];
  const at = { ArrowLeft: to - 1, ArrowRight: to + 1, Home: 0, End: last }[pressed.key];
  if (at !== undefined) {
    const next = Math.min(Math.max(at, 0), last);
    choose([pressed.shiftKey ? from : next, next]);
  } else if (pressed.key === "Enter" && chosen) zoom();
  else if (pressed.key === "Escape" && chosen) choose(null);
  else return;
  pressed.preventDefault();
  pressed.stopPropagation();
});
new ResizeObserver(() => { if (drawn !== null) draw(); }).observe(target);
