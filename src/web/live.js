// Events as they come, of those that match: streamed, or the newest each second if they are too many to follow.
import { ask, reason } from "./ask.js";
import { acceptedNow } from "./figures.js";
import { parseEvent, parsePage } from "./json.js";
import { queryOf } from "./query.js";
import { sleep, whole } from "./text.js";

/** Beyond this rate a stream would show nothing that an eye can follow: then the newest are asked for. */
const STREAMED_RATE = 1000;
/** Events that arrive within this many milliseconds are shown together. */
const GATHERED = 100;
const PAGE_EVENTS = 50;
/** The most text that is read for one sample, in characters. */
const SAMPLE_TEXT = 16000000;

/** An answer of the server; an error if it is none that shows events. */
export async function get(path, options) {
  const answer = await ask(path, options);
  if (!answer.ok) throw Object.assign(new Error(await reason(answer)), { status: answer.status });
  options.signal.throwIfAborted();
  return answer;
}

/** Waits until the page is visible: browsers allow few connections to one server. */
async function seen() {
  while (document.hidden) {
    await new Promise(resolve => document.addEventListener("visibilitychange", resolve, { once: true }));
  }
}

/**
 * Follows a search after a seq, until the signal says stop. `tell` takes the events, the oldest first; `state` what
 * to say of it; `restart` is called when the server has another history than the page, and `check` looks at each
 * answer.
 */
export async function follow(search, after, signal, { tell, state, restart, check }) {
  const position = { seq: after };
  let isBehind = false;
  while (!signal.aborted) {
    await seen();
    const visible = new AbortController();
    const leave = () => { if (document.hidden) visible.abort(); };
    document.addEventListener("visibilitychange", leave);
    const both = AbortSignal.any([signal, visible.signal]);
    try {
      if (isBehind) isBehind = await sample(search, position, both, { tell, check });
      if (isBehind) {
        state("sampling: newest each second");
        await sleep(1000, both);
      } else {
        const end = await stream(search, position, both, { tell, state, check });
        if (end === "reset") return restart();
        isBehind = end === "flood";
        if (!isBehind) await sleep(300, both);
      }
    } catch (error) {
      if (!both.aborted) {
        // What `fetch` throws is for programmers.
        state(error instanceof TypeError ? "not connected" : error.message);
        await sleep(1000, both);
      }
      // What came meanwhile may be more than a stream should bring.
      isBehind = true;
    }
    document.removeEventListener("visibilitychange", leave);
  }
}

/** Shows the newest events after the position; returns whether there are more than a stream should bring. */
async function sample(search, position, signal, { tell, check }) {
  const events = [];
  let text = 0;
  let path = `/events?${queryOf(search, { limit: PAGE_EVENTS })}`;
  // A page has fewer events where they are large: only `next` says whether there are more.
  while (path !== null && events.length < PAGE_EVENTS && text < SAMPLE_TEXT) {
    const answer = await get(path, { signal });
    if (!check(answer)) return false;
    const page = parsePage(await answer.text());
    signal.throwIfAborted();
    const fresh = page.events.filter(event => event.seq > position.seq);
    events.push(...fresh);
    for (const { raw } of fresh) text += raw.length;
    const isThrough = fresh.length < page.events.length || page.through <= position.seq;
    path = isThrough ? null : page.next;
  }
  if (events.length === 0) return false;
  const isBehind = path !== null || events.length > PAGE_EVENTS;
  const fresh = events.slice(0, PAGE_EVENTS).reverse();
  if (isBehind) fresh.unshift({ note: skipped(search, fresh[0].seq - position.seq - 1) });
  position.seq = fresh.at(-1).seq;
  tell(fresh);
  return isBehind && acceptedNow > STREAMED_RATE / 2;
}

function skipped(search, passed) {
  const isAll = ["topic", "source", "event_id", "where", "words"].every(name => search[name].length === 0);
  return isAll ? `… ${whole.format(passed)} skipped` : "… others skipped";
}

/** Shows events as they come; says why that ended. */
async function stream(search, position, signal, { tell, state, check }) {
  const reading = new AbortController();
  const answer = await get(`/subscribe?${queryOf(search, { after: position.seq })}`, {
    headers: { Accept: "application/x-ndjson" }, signal: AbortSignal.any([signal, reading.signal]),
  });
  if (!check(answer)) return "reset";
  state("live");
  const pieces = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let [rest, waiting, timer] = [[], [], 0];
  let [second, inSecond] = [0, 0];
  const flush = () => {
    clearTimeout(timer);
    timer = 0;
    if (!signal.aborted) tell(waiting);
    waiting = [];
  };
  try {
    while (inSecond <= STREAMED_RATE) {
      const { value, done } = await pieces.read();
      if (done) return "end";
      const [end, ...lines] = value.split("\n");
      rest.push(end);
      if (lines.length === 0) continue;
      lines.unshift(rest.join(""));
      rest = [lines.pop()];
      const now = Math.floor(performance.now() / 1000);
      if (now !== second) [second, inSecond] = [now, 0];
      for (const event of lines.filter(Boolean).map(parseEvent)) {
        // What is shown is of a history that the server does not have any more.
        if (event.reset) return "reset";
        position.seq = event.seq ?? position.seq;
        waiting.push(event);
        inSecond += 1;
      }
      timer ||= setTimeout(flush, GATHERED);
    }
    return "flood";
  } finally {
    flush();
    reading.abort();
  }
}
