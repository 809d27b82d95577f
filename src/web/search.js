// Runs what is searched for: the page of events, older ones as one scrolls, what comes live, and the answers of the
// histogram and of the lists of values.
import { TOKEN_CHANGED } from "./ask.js";
import { EVENT_OPENED } from "./rows.js";
import * as rows from "./rows.js";
import { stats } from "./figures.js";
import { loadFields } from "./fields.js";
import { loadHistogram } from "./histogram.js";
import { parsePage } from "./json.js";
import { follow, get } from "./live.js";
import {
  addressOf, change, eventsPath, hasFilters, note, queryOf, readAgain, search, SEARCH_CHANGED,
} from "./query.js";
import { marksOf } from "./row.js";
import { byId, setText, sleep, whole } from "./text.js";
import { ZONE_CHANGED } from "./times.js";

const PAGE_EVENTS = 100;
/** A search goes on until it has found this many, or the reader stops it. */
const FILLED = 50;
/** The most text that is read at once, in characters. */
const FILL_TEXT = 16000000;
/** Older events are asked for when this many pixels are left below. */
const NEAR_END = 800;
/** Live, figures are asked for again after this many milliseconds, and after this multiple of what they took. */
const FRESH_AFTER = 3000;
const FRESH_SHARE = 20;

/** Everything that one search asks for; aborted when another is made. */
let session = new AbortController();
/** The address of the next page of older events; null if there are none. */
let older = null;
let isLoading = false;
/** The id of the database that rows are of; none before an answer has said it. */
let database = null;

function check(answer) {
  const id = answer.headers.get("Log-Aggregator-Database");
  if (database !== null && id !== database) {
    run();
    return false;
  }
  database = id;
  return true;
}

function fail(error, signal) {
  if (signal.aborted) return;
  const isRefused = error.status === 422;
  setText("search-error", isRefused ? error.message : "");
  byId("search-error").hidden = !isRefused;
  setText("list-state", isRefused ? "" : error instanceof TypeError ? "not connected" : error.message);
}

function failFill(error, signal) {
  if (signal.aborted) return;
  isLoading = false;
  byId("stop").hidden = true;
  fail(error, signal);
}

/** Reads pages until enough has been found. */
async function fill(signal) {
  let [found, text, scanned] = [0, 0, 0];
  isLoading = true;
  byId("stop").hidden = false;
  const stopped = new AbortController();
  byId("stop").addEventListener("click", () => stopped.abort(), { signal });
  while (older !== null && found < FILLED && text < FILL_TEXT && !stopped.signal.aborted) {
    setText("list-state", scanned > 0 ? `searching, ${whole.format(scanned)} scanned` : "searching");
    const answer = await get(older, { signal });
    if (!check(answer)) return;
    const page = parsePage(await answer.text());
    signal.throwIfAborted();
    if (search.around) page.events.reverse();
    for (const { raw } of page.events) text += raw.length;
    found += page.events.length;
    scanned += page.scanned ?? 0;
    older = search.around && found > 0 ? null : page.next;
    if (rows.append(page.events)) setLive(false);
  }
  if (search.around && rows.count() > 0) older = `/events?limit=${PAGE_EVENTS}&before=${rows.oldestSeq()}`;
  isLoading = false;
  byId("stop").hidden = true;
  showEnd(stopped.signal.aborted ? `stopped after ${whole.format(scanned)}` : "");
}

function showEnd(text) {
  const isEmpty = rows.count() === 0;
  byId("more").hidden = older === null || isLoading;
  byId("empty").hidden = !isEmpty || older !== null;
  const nothing = search.since ? "No events in this time." : "No events yet.";
  if (isEmpty) setText("empty-text", hasFilters(search) ? "No event matches." : nothing);
  byId("empty-all").hidden = search.since === "" && search.until === "";
  setText("list-state", text || (isEmpty || older !== null ? "" : "no older events"));
}

/** Loads older events when the reader comes near the end of those that are shown. */
async function loadOlder() {
  const { signal } = session;
  if (isLoading || older === null || rows.count() === 0) return;
  try {
    await fill(signal);
  } catch (error) {
    failFill(error, signal);
  }
}

/** Nothing came lately and nothing was asked for: then all is shown. */
function isToBeWidened() {
  return search.isDefault && rows.count() === 0 && older === null && (stats?.last_seq ?? 0) > 0;
}

/** Searches, shows what is found, and follows what comes. */
async function run() {
  session.abort();
  session = new AbortController();
  const { signal } = session;
  database = null;
  rows.clear(marksOf(search));
  rows.setOpened(search.event);
  older = eventsPath(search, PAGE_EVENTS);
  byId("histogram-box").classList.add("pending");
  byId("search-error").hidden = true;
  byId("empty").hidden = true;
  byId("more").hidden = true;
  setLiveState("");
  const before = stats?.last_seq ?? 0;
  try {
    const figures = refresh(signal).catch(error => fail(error, signal));
    await fill(signal);
    if (signal.aborted) return;
    if (isToBeWidened()) {
      note({ since: "", time: "", isDefault: false });
      document.dispatchEvent(new Event(SEARCH_CHANGED));
      return;
    }
    if (search.event) openFound();
    await figures;
  } catch (error) {
    failFill(error, signal);
    if (error.status === 422 || signal.aborted) return;
    await sleep(1000, signal);
    if (!signal.aborted) run();
    return;
  }
  if (!search.isLive || search.around || search.until || signal.aborted) return;
  keepFresh(signal);
  const after = Math.max(rows.newestSeq(), before);
  await follow(search, after, signal, { tell, state: setLiveState, restart: run, check });
}

function openFound() {
  const event = rows.find(search.event);
  if (!event) return;
  document.dispatchEvent(new CustomEvent(EVENT_OPENED, { detail: event }));
  rows.scrollToOpened();
}

/** Events came; what was trimmed below them is asked for again by those who scroll. */
function tell(events) {
  rows.prepend(events);
  if (events.length === 0) return;
  byId("empty").hidden = true;
  const oldest = rows.oldestSeq();
  if (oldest > 0 && rows.count() >= 500) {
    older = `/events?${queryOf(search, { limit: PAGE_EVENTS, before: oldest })}`;
    byId("more").hidden = false;
  }
}

function setLiveState(text) {
  setText("live-state", text);
  byId("live").classList.toggle("on", text === "live");
}

async function refresh(signal) {
  const start = performance.now();
  const member = await loadFields(signal);
  await loadHistogram(signal, member);
  return performance.now() - start;
}

/** Asks for the histogram and the lists again and again, the less often the more work they are. */
async function keepFresh(signal) {
  for (let took = 0; !signal.aborted;) {
    await sleep(Math.max(FRESH_AFTER, FRESH_SHARE * took), signal);
    if (document.hidden || signal.aborted || byId("fields").matches(":hover")) continue;
    try {
      took = await refresh(signal);
    } catch {
      took = FRESH_AFTER;
    }
  }
}

function setLive(is) {
  if (search.isLive === is) return;
  note({ isLive: is });
  showLive();
  if (is) run();
  else setLiveState("");
}

function showLive() {
  const isPossible = !search.until && !search.around;
  byId("live").setAttribute("aria-pressed", String(search.isLive && isPossible));
  byId("live").disabled = !isPossible;
}

/** Starts over: the server has another history. */
export const restart = run;

byId("live").addEventListener("click", () => {
  const is = !search.isLive;
  note({ isLive: is });
  showLive();
  run();
});
byId("more").addEventListener("click", loadOlder);
byId("empty-all").addEventListener("click", () => change({ since: "", until: "", time: "" }));
byId("events").addEventListener("scroll", () => {
  const { scrollHeight, scrollTop, clientHeight } = byId("events");
  if (scrollTop > 0 && !search.around && scrollHeight - scrollTop - clientHeight < NEAR_END) loadOlder();
});
document.addEventListener(SEARCH_CHANGED, () => { showLive(); run(); });
document.addEventListener(TOKEN_CHANGED, run);
document.addEventListener(ZONE_CHANGED, run);
addEventListener("popstate", () => {
  const was = addressOf(search);
  readAgain();
  if (addressOf(search) !== was) document.dispatchEvent(new Event(SEARCH_CHANGED));
});
showLive();
