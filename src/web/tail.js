// The events as they come, the newest first: of all topics or some, paused or not, searched or not.
import { ask, reason, TOKEN_CHANGED } from "./ask.js";
import { parseEvent, parsePage, showEvent } from "./event.js";
import { acceptedNow, stats } from "./figures.js";
import { TOPIC_CHOSEN } from "./topics.js";
import { byId, element, setText, sleep, visible, walkWithArrows, whole } from "./text.js";

const SHOWN_EVENTS = 500;
/** The most text that what is shown may have together, in characters. */
const SHOWN_TEXT = 16000000;
/** A row shows no more of a payload, in characters. */
const ROW_TEXT = 400;
/** Up to this many that come together are highlighted. */
const FEW = 3;
const PAGE_EVENTS = 50;
/** Beyond this rate a stream would show nothing that an eye can follow: then the newest are asked for. */
const STREAMED_RATE = 1000;
/** Events that arrive within this many milliseconds are shown together. */
const GATHERED = 100;

const list = byId("events");
/** What each row shows. */
const eventOf = new WeakMap();

/** Everything that one choice of topics asks for; aborted when another is made. */
let session = new AbortController();
let topic = "";
let lastSeq = 0;
/** The id of the database that this seq is of; none before an answer has said it. */
let database = null;
let state = "";

const paused = { is: false, events: [], count: 0 };

function wanted() {
  return byId("tail-search").value.toLowerCase();
}

function matches(item, text) {
  const event = eventOf.get(item);
  return event === undefined || text === "" || event.raw.toLowerCase().includes(text);
}

function showState(fresh) {
  if (fresh !== undefined) state = fresh;
  if (paused.is) {
    setText("tail-state", `paused, ${whole.format(paused.count)} waiting`);
  } else if (wanted() === "") {
    setText("tail-state", state);
  } else {
    const events = [...list.children].filter(item => eventOf.has(item));
    const found = events.filter(item => !item.hidden).length;
    setText("tail-state", `${state}, ${whole.format(found)} of ${whole.format(events.length)} match`);
  }
}

function note(text) {
  return element("li", "note", text);
}

function itemOf(event) {
  if (event.gap) return note(`Events ${event.gap.from} to ${event.gap.to} have been removed.`);
  if (event.note) return note(event.note);
  const item = element("li");
  const button = element("button", "entry");
  button.type = "button";
  button.tabIndex = -1;
  const time = element("span", "time", event.processed_at.slice(11, 23));
  time.title = event.processed_at;
  const text = element("span", "text");
  const payload = event.payload.length > ROW_TEXT ? `${event.payload.slice(0, ROW_TEXT)}…` : event.payload;
  text.append(element("span", "id", visible(event.event_id)), visible(payload));
  button.append(element("span", "seq", event.seq), time, element("span", "topic", visible(event.topic)),
    element("span", "source", visible(event.source)), text);
  button.addEventListener("click", () => showEvent(event));
  item.append(button);
  eventOf.set(item, event);
  item.hidden = !matches(item, wanted());
  return item;
}

/** Removes the oldest rows beyond the bounds. */
function trim() {
  let text = 0;
  let kept = 0;
  for (const item of list.children) {
    text += eventOf.get(item)?.raw.length ?? 0;
    if (kept === SHOWN_EVENTS || text > SHOWN_TEXT && kept > 0) break;
    kept += 1;
  }
  while (list.childElementCount > kept) list.lastElementChild.remove();
}

function show(events) {
  if (events.length === 0) return;
  if (paused.is) {
    paused.count += events.filter(event => event.raw).length;
    paused.events = paused.events.concat(events).slice(-SHOWN_EVENTS);
  } else {
    const items = events.slice(-SHOWN_EVENTS).map(itemOf).reverse();
    // If all of them are new, none is highlighted.
    if (items.length <= FEW) items.forEach(item => item.classList.add("new"));
    list.prepend(...items);
    trim();
  }
  showState();
}

function query(...more) {
  return [topic && `topic=${encodeURIComponent(topic)}`, ...more].filter(Boolean).join("&");
}

/** An answer; starts over if it is from another database than what is shown. */
async function askForEvents(path, options) {
  const answer = await ask(path, options);
  if (!answer.ok) throw new Error(await reason(answer));
  const id = answer.headers.get("Log-Aggregator-Database");
  if (database !== null && id !== database) restart();
  else database = id;
  options.signal.throwIfAborted();
  return answer;
}

/** The newest events that have not been shown, the oldest first, and whether there may be others before them. */
async function newest(signal) {
  const events = [];
  let text = 0;
  let path = `/events?${query(`limit=${PAGE_EVENTS}`)}`;
  // A page has fewer events where they are large: only `next` says whether there are more.
  while (path !== null && events.length < PAGE_EVENTS && text < SHOWN_TEXT) {
    const answer = await askForEvents(path, { signal });
    const page = parsePage(await answer.text());
    const fresh = page.events.filter(event => event.seq > lastSeq);
    events.push(...fresh);
    for (const { raw } of fresh) text += raw.length;
    path = fresh.length < page.events.length ? null : page.next;
  }
  signal.throwIfAborted();
  const hasMore = path !== null || events.length > PAGE_EVENTS;
  return { fresh: events.slice(0, PAGE_EVENTS).reverse(), hasMore };
}

/** Shows the newest events that have not been shown. */
async function showNewest(signal) {
  const { fresh, hasMore } = await newest(signal);
  if (fresh.length === 0) return;
  const passed = fresh[0].seq - lastSeq - 1;
  if (lastSeq > 0 && passed > 0 && hasMore) {
    fresh.unshift({ note: topic ? "… others skipped" : `… ${whole.format(passed)} skipped` });
  }
  lastSeq = fresh.at(-1).seq;
  show(fresh);
}

/** Shows events after a seq as they come, until the stream ends or more come than can be followed. */
async function follow(after, signal) {
  const reading = new AbortController();
  const answer = await askForEvents(`/subscribe?${query(`after=${after}`)}`, {
    headers: { Accept: "application/x-ndjson" }, signal: AbortSignal.any([signal, reading.signal]),
  });
  showState("live");
  const pieces = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = [];
  let waiting = [];
  let timer = 0;
  const flush = () => {
    clearTimeout(timer);
    timer = 0;
    if (!signal.aborted) show(waiting);
    waiting = [];
  };
  try {
    while (acceptedNow <= STREAMED_RATE && waiting.length <= 2 * STREAMED_RATE) {
      const { value, done } = await pieces.read();
      if (done) return;
      const [end, ...lines] = value.split("\n");
      rest.push(end);
      if (lines.length === 0) continue;
      lines.unshift(rest.join(""));
      rest = [lines.pop()];
      for (const event of lines.filter(Boolean).map(parseEvent)) {
        // What is shown is of a history that the server does not have any more.
        if (event.reset) return restart();
        lastSeq = event.seq ?? lastSeq;
        waiting.push(event);
      }
      timer ||= setTimeout(flush, GATHERED);
    }
  } finally {
    flush();
    reading.abort();
  }
}

/** Waits until the page is visible: browsers allow few connections to one server. */
async function seen() {
  while (document.hidden) {
    await new Promise(resolve => document.addEventListener("visibilitychange", resolve, { once: true }));
  }
}

async function run() {
  let isBehind = true;
  for (;;) {
    await seen();
    const { signal } = session;
    const leave = () => { if (document.hidden) session.abort(); };
    document.addEventListener("visibilitychange", leave);
    try {
      // If there is nothing to show, the stream starts after the last event known before this request.
      const last = stats?.last_seq ?? 0;
      if (isBehind || lastSeq === 0) await showNewest(signal);
      isBehind = acceptedNow > STREAMED_RATE / 2;
      if (isBehind) {
        showState("sampling: newest each second");
        await sleep(1000, signal);
      } else {
        await follow(lastSeq || last, signal);
        isBehind = acceptedNow > STREAMED_RATE;
        await sleep(300, signal);
      }
    } catch (error) {
      if (signal.aborted) {
        isBehind = true;
      } else {
        // What `fetch` throws is for programmers.
        showState(error instanceof TypeError ? "not connected" : error.message);
        await sleep(1000, signal);
      }
    }
    document.removeEventListener("visibilitychange", leave);
    if (session.signal.aborted) session = new AbortController();
  }
}

function setPaused(is) {
  paused.is = is;
  byId("tail-pause").setAttribute("aria-pressed", String(is));
  setText("tail-pause", is ? "Resume" : "Pause");
  const { events, count } = paused;
  [paused.events, paused.count] = [[], 0];
  const left = count - events.filter(event => event.raw).length;
  if (left > 0) events.unshift({ note: `… ${whole.format(left)} skipped` });
  show(events);
  showState();
}

/** Starts over, with nothing shown. */
export function restart() {
  session.abort();
  session = new AbortController();
  topic = byId("tail-topic").value.trim();
  lastSeq = 0;
  database = null;
  [paused.events, paused.count] = [[], 0];
  setPaused(false);
  list.replaceChildren();
  showState("connecting");
}

byId("tail-pause").addEventListener("click", () => setPaused(!paused.is));
byId("tail-clear").addEventListener("click", () => { list.replaceChildren(); showState(); });
byId("tail-topic").addEventListener("change", restart);
byId("tail-search").addEventListener("input", () => {
  const text = wanted();
  for (const item of list.children) item.hidden = !matches(item, text);
  showState();
});
document.addEventListener(TOKEN_CHANGED, restart);
document.addEventListener(TOPIC_CHOSEN, chosen => {
  byId("tail-topic").value = chosen.detail;
  restart();
  byId("tail").scrollIntoView({ block: "nearest" });
});
walkWithArrows(list);
run();
