// The dashboard: asks the server what anybody may ask, and shows it. Whatever comes from events is set as
// text and never as markup.
"use strict";

const PLOTTED_SECONDS = 300;
const SHOWN_EVENTS = 500;
const SHOWN_TOPICS = 500;
// Beyond this rate a stream would show nothing that an eye can follow: then the newest are asked for.
const STREAMED_RATE = 1000;
const TOKEN = "token";

const byId = id => document.getElementById(id);
const sleep = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function setText(id, text) {
  const target = byId(id);
  if (target.textContent !== text) target.textContent = text;
}

/* Numbers as people read them. */

const whole = new Intl.NumberFormat("en");

function count(number) {
  if (number < 100000) return whole.format(Math.round(number));
  const units = ["k", "M", "G", "T"];
  let at = -1;
  while (number >= 1000 && at < units.length - 1) { number /= 1000; at += 1; }
  return `${number.toPrecision(3)} ${units[at]}`;
}

function bytes(number) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  while (number >= 1000 && at < units.length - 1) { number /= 1000; at += 1; }
  return [at === 0 ? String(number) : number.toPrecision(3), units[at]];
}

function duration(seconds) {
  if (seconds === undefined || Number.isNaN(seconds)) return ["–", ""];
  if (seconds < 0.001) return [(seconds * 1e6).toFixed(0), "µs"];
  return seconds < 1 ? [(seconds * 1e3).toPrecision(3), "ms"] : [seconds.toPrecision(3), "s"];
}

function ago(iso) {
  const seconds = Math.max(0, (Date.now() - Date.parse(iso)) / 1000);
  if (seconds < 2) return "now";
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} d`;
}

/* Asking the server. */

let askedForToken = false;

async function ask(path, options = {}) {
  const headers = new Headers(options.headers);
  const token = sessionStorage.getItem(TOKEN);
  if (token) headers.set("Authorization", `Bearer ${token}`);
  const answer = await fetch(path, { ...options, headers, cache: "no-store" });
  if (answer.status === 401 && !askedForToken) {
    askedForToken = true;
    byId("token").showModal();
  }
  return answer;
}

function notice(text) {
  byId("notice").hidden = !text;
  setText("notice", text || "");
}

/* Figures and plots. */

const history = { accepted: [], duplicates: [], conflicts: [], median: [], slowest: [] };
let before = null;
let rateNow = 0;

function keep(name, value) {
  history[name].push(value);
  if (history[name].length > PLOTTED_SECONDS) history[name].shift();
}

function showStats(stats) {
  const now = performance.now();
  const rates = { accepted: 0, duplicates: 0, conflicts: 0 };
  if (before && stats.received >= before.stats.received) {
    const seconds = (now - before.at) / 1000;
    rates.accepted = (stats.unique_processed - before.stats.unique_processed) / seconds;
    rates.duplicates = (stats.duplicate_dropped - before.stats.duplicate_dropped) / seconds;
    rates.conflicts = (stats.conflicts - before.stats.conflicts) / seconds;
  }
  before = { stats, at: now };
  rateNow = rates.accepted;
  for (const name of Object.keys(rates)) {
    setText(`rate-${name}`, count(rates[name]));
    keep(name, rates[name]);
  }
  setText("total-accepted", `${count(stats.unique_processed)} in all`);
  setText("total-duplicates", `${count(stats.duplicate_dropped)} in all`);
  setText("total-conflicts", `${count(stats.conflicts)} in all`);
  const [size, unit] = bytes(stats.database_bytes);
  setText("database-size", size);
  setText("database-unit", unit);
  setText("database-more", `log ${bytes(stats.wal_bytes).join(" ")}, seq ${count(stats.last_seq)}`);
  setText("clients", count(stats.connections));
  setText("clients-more", `${count(stats.subscribers)} subscribed, ${count(stats.queue_size)} queued`);
  setText("about", `${stats.version}, up ${stats.uptime_human}`);
  plot("plot-rates", ["accepted", "duplicates", "conflicts"], count);
}

const SVG = "http://www.w3.org/2000/svg";

function svg(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/** The next of 1, 2, 5, 10, 20, … so that a plot's height seldom changes. */
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map(step => step * power).find(step => step >= value) || 10 * power;
}

function plot(id, names, label) {
  const target = byId(id);
  const width = target.clientWidth || 600;
  const height = target.clientHeight || 170;
  const top = 16;
  const bottom = height - 18;
  const values = names.flatMap(name => history[name]).filter(Number.isFinite);
  const most = ceiling(Math.max(1e-6, ...values));
  const x = at => width - (PLOTTED_SECONDS - at) * (width / PLOTTED_SECONDS);
  const y = value => bottom - (value / most) * (bottom - top);
  target.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const parts = [];
  for (const share of [0, 0.5, 1]) {
    const level = y(most * share);
    parts.push(svg("line", { x1: 0, x2: width, y1: level, y2: level }));
    const text = svg("text", { x: 2, y: level - 3 });
    text.textContent = share === 0 ? "" : label(most * share);
    parts.push(text);
  }
  for (const [seconds, text] of [[300, "5 min ago"], [150, ""], [0, "now"]]) {
    const mark = svg("text", { x: seconds === 300 ? 2 : width - 24, y: height - 4 });
    mark.textContent = text;
    parts.push(mark);
  }
  names.forEach((name, order) => {
    const list = history[name];
    const offset = PLOTTED_SECONDS - list.length;
    const points = list.map((value, at) => Number.isFinite(value)
      ? `${x(offset + at + 1).toFixed(1)} ${y(value).toFixed(1)}` : null).filter(Boolean);
    if (points.length < 2) return;
    if (order === 0) {
      const from = points[0].split(" ")[0];
      const to = points.at(-1).split(" ")[0];
      parts.push(svg("path", { class: `area ${name}`, d: `M${from} ${bottom}L${points.join("L")}L${to} ${bottom}Z` }));
    }
    parts.push(svg("path", { class: name, d: `M${points.join("L")}` }));
  });
  target.replaceChildren(...parts);
}

/** The cumulative buckets of the time of commits, out of the text of /metrics. */
function bucketsOf(text) {
  const found = [];
  const pattern = /^log_aggregator_commit_duration_seconds_bucket\{le="([^"]+)"\} (\S+)/gm;
  for (const [, bound, number] of text.matchAll(pattern)) {
    found.push([bound === "+Inf" ? Infinity : Number(bound), Number(number)]);
  }
  return found;
}

function quantile(buckets, share) {
  const all = buckets.at(-1)[1];
  if (!all) return NaN;
  let [lower, below] = [0, 0];
  for (const [bound, number] of buckets) {
    if (number >= share * all) {
      if (bound === Infinity) return lower;
      return lower + (bound - lower) * ((share * all - below) / Math.max(1, number - below));
    }
    [lower, below] = [bound, number];
  }
  return lower;
}

let bucketsBefore = null;

async function showCommits() {
  const answer = await ask("/metrics");
  if (!answer.ok) return;
  const buckets = bucketsOf(await answer.text());
  if (buckets.length === 0) return;
  const same = bucketsBefore && bucketsBefore.at(-1)[1] <= buckets.at(-1)[1];
  const fresh = buckets.map(([bound, number], at) => [bound, number - (same ? bucketsBefore[at][1] : 0)]);
  const known = bucketsBefore !== null;
  bucketsBefore = buckets;
  const [median, slowest] = [quantile(fresh, 0.5), quantile(fresh, 0.99)];
  keep("median", known ? median * 1e3 : NaN);
  keep("slowest", known ? slowest * 1e3 : NaN);
  const shown = Number.isNaN(median) ? buckets : fresh;
  const [number, unit] = duration(quantile(shown, 0.5));
  setText("commit-median", number);
  setText("commit-unit", unit);
  setText("commit-more", `99 % within ${duration(quantile(shown, 0.99)).join(" ")}`);
  plot("plot-commit", ["median", "slowest"], value => Number(value.toPrecision(2)));
}

async function showHealth() {
  const answer = await fetch("/health", { cache: "no-store" });
  const health = await answer.json();
  const pill = byId("health");
  pill.className = `pill ${answer.ok ? "good" : "bad"}`;
  setText("health", answer.ok ? "healthy" : `unhealthy: ${health.reason}`);
}

/* Topics. */

let topics = [];
let topicsBefore = new Map();
let topicsAt = 0;

async function loadTopics() {
  const answer = await ask("/topics");
  if (!answer.ok) return;
  const now = performance.now();
  const seconds = (now - topicsAt) / 1000;
  const list = (await answer.json()).topics;
  for (const topic of list) {
    const known = topicsBefore.get(topic.topic);
    topic.rate = topicsAt && known !== undefined ? Math.max(0, topic.events - known) / seconds : 0;
  }
  topicsBefore = new Map(list.map(topic => [topic.topic, topic.events]));
  topicsAt = now;
  topics = list.sort((a, b) => b.rate - a.rate || b.events - a.events);
  showTopics();
}

function showTopics() {
  const wanted = byId("topics-filter").value.toLowerCase();
  const found = topics.filter(topic => topic.topic.toLowerCase().includes(wanted));
  const rows = found.slice(0, SHOWN_TOPICS).map(topic => {
    const row = element("tr");
    const name = element("td");
    const follow = element("button", "", topic.topic);
    follow.title = `Follow ${topic.topic}`;
    follow.addEventListener("click", () => followTopic(topic.topic));
    name.append(follow);
    row.append(name, element("td", "number", whole.format(topic.events)),
      element("td", "number", topic.rate ? count(topic.rate) : ""), element("td", "number", ago(topic.last_processed_at)));
    return row;
  });
  const focused = document.activeElement?.closest?.("#topics") ? document.activeElement.textContent : null;
  byId("topics").replaceChildren(...rows);
  if (focused !== null) {
    [...byId("topics").querySelectorAll("button")].find(button => button.textContent === focused)?.focus();
  }
  const hidden = found.length - rows.length;
  setText("topics-more", hidden > 0 ? `${whole.format(hidden)} more` : found.length ? "" : "No topic yet.");
}

/* The live tail. */

const tail = { paused: false, held: [], reader: null, lastSeq: 0 };

function followTopic(topic) {
  byId("tail-topic").value = topic;
  restartTail();
  byId("tail").scrollIntoView({ block: "nearest" });
}

function matchesSearch(item, wanted) {
  return !wanted || item.dataset.text.includes(wanted);
}

function itemOf(event) {
  const item = element("li");
  const button = element("button");
  button.type = "button";
  const payload = JSON.stringify(event.payload);
  button.append(element("span", "seq", event.seq), element("span", "time", event.processed_at.slice(11, 23)),
    element("span", "topic", event.topic), element("span", "source", event.source),
    element("span", "text", `${event.event_id}  ${payload}`));
  button.addEventListener("click", () => showEvent(event));
  item.append(button);
  item.dataset.text = `${event.topic} ${event.event_id} ${event.source} ${payload}`.toLowerCase();
  return item;
}

function showEvents(list) {
  if (list.length === 0) return;
  if (tail.paused) {
    tail.held = tail.held.concat(list).slice(-SHOWN_EVENTS);
    tailState();
    return;
  }
  const wanted = byId("tail-search").value.toLowerCase();
  const items = list.slice(-SHOWN_EVENTS).map(entry => {
    if (entry.note) return element("li", "note", entry.note);
    const item = itemOf(entry);
    item.classList.add("new");
    item.hidden = !matchesSearch(item, wanted);
    return item;
  });
  const target = byId("events");
  target.prepend(...items.reverse());
  while (target.childElementCount > SHOWN_EVENTS) target.lastElementChild.remove();
}

function tailState(text) {
  if (text !== undefined) tail.state = text;
  const held = tail.held.filter(entry => !entry.note).length;
  setText("tail-state", tail.paused ? `paused, ${held} waiting` : tail.state || "");
}

function tailQuery() {
  const topic = byId("tail-topic").value.trim();
  return topic ? `topic=${encodeURIComponent(topic)}` : "";
}

function restartTail() {
  tail.restart = true;
  tail.held = [];
  tail.reader?.abort();
  byId("events").replaceChildren();
  tailState("connecting");
}

/** Reads the stream until it ends or too much comes. Says whether too much came. */
async function readStream(from) {
  const reader = new AbortController();
  tail.reader = reader;
  const query = [tailQuery(), `after=${from}`].filter(Boolean).join("&");
  const answer = await ask(`/subscribe?${query}`, {
    headers: { Accept: "application/x-ndjson" }, signal: reader.signal,
  });
  if (!answer.ok) {
    const detail = (await answer.json()).detail;
    tailState(typeof detail === "string" ? detail : detail[0].msg);
    await sleep(2000);
    return false;
  }
  tailState("live");
  const lines = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let waiting = [];
  let shown = 0;
  const flush = () => { shown = 0; showEvents(waiting); waiting = []; };
  for (;;) {
    const { value, done } = await lines.read();
    if (done) { flush(); return false; }
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    for (const part of parts.filter(Boolean)) {
      const event = JSON.parse(part);
      if (event.gap) { waiting.push({ note: `Events ${event.gap.from} to ${event.gap.to} have been removed.` }); continue; }
      tail.lastSeq = event.seq;
      waiting.push(event);
    }
    // Many pieces in a short time are shown together.
    if (!shown) shown = setTimeout(flush, 100);
    if (waiting.length > 2 * STREAMED_RATE || rateNow > STREAMED_RATE) {
      clearTimeout(shown);
      flush();
      reader.abort();
      return true;
    }
  }
}

/** Shows the newest events of each second, for as long as more come than can be followed. */
async function sample() {
  while (rateNow > STREAMED_RATE / 2 && !tail.restart) {
    const answer = await ask(`/events?limit=50&${tailQuery()}`);
    if (!answer.ok) return;
    const events = (await answer.json()).events.reverse().filter(event => event.seq > tail.lastSeq);
    if (events.length > 0) {
      const passed = events[0].seq - tail.lastSeq - 1;
      if (tail.lastSeq && passed > 0) showEvents([{ note: `… ${whole.format(passed)} in between` }]);
      tail.lastSeq = events.at(-1).seq;
      showEvents(events);
    }
    tailState("the newest of each second");
    await sleep(1000);
  }
}

async function runTail() {
  for (;;) {
    try {
      tail.restart = false;
      tail.lastSeq = 0;
      // The newest are there at once; the stream goes on behind them.
      const answer = await ask(`/events?limit=50&${tailQuery()}`);
      if (!answer.ok) { await readStream(0); continue; }
      const events = (await answer.json()).events.reverse();
      if (events.length > 0) { tail.lastSeq = events.at(-1).seq; showEvents(events); }
      const stats = before ? before.stats.last_seq : 0;
      let from = tail.lastSeq || stats;
      while (!tail.restart) {
        if (await readStream(from)) await sample();
        else await sleep(300);
        from = tail.lastSeq || from;
      }
    } catch (error) {
      if (error.name !== "AbortError") { tailState("not connected"); await sleep(1000); }
    }
  }
}

function showEvent(event) {
  setText("event-title", `Event ${event.seq}`);
  setText("event-text", JSON.stringify(event, null, 2));
  byId("event-link").href = `/events/${encodeURIComponent(event.topic)}/${encodeURIComponent(event.event_id)}`;
  byId("event").showModal();
}

byId("event-copy").addEventListener("click", () => navigator.clipboard?.writeText(byId("event-text").textContent));
byId("tail-pause").addEventListener("click", () => {
  tail.paused = !tail.paused;
  byId("tail-pause").setAttribute("aria-pressed", String(tail.paused));
  setText("tail-pause", tail.paused ? "Go on" : "Pause");
  const held = tail.held;
  if (!tail.paused) { tail.held = []; showEvents(held); }
  tailState();
});
byId("tail-clear").addEventListener("click", () => byId("events").replaceChildren());
byId("tail-topic").addEventListener("change", restartTail);
byId("tail-search").addEventListener("input", () => {
  const wanted = byId("tail-search").value.toLowerCase();
  for (const item of byId("events").children) {
    if (item.dataset.text !== undefined) item.hidden = !matchesSearch(item, wanted);
  }
});
byId("topics-filter").addEventListener("input", showTopics);

/* Publishing. */

const form = byId("publish");

function newEvent() {
  const random = crypto.getRandomValues(new Uint8Array(8));
  form.elements.event_id.value = `evt-${[...random].map(byte => byte.toString(16).padStart(2, "0")).join("")}`;
  form.elements.timestamp.value = new Date().toISOString();
}

function answerText(text, className) {
  const target = byId("publish-answer");
  target.className = `wide ${className}`;
  target.textContent = text;
}

form.addEventListener("submit", async submitted => {
  submitted.preventDefault();
  const fields = form.elements;
  const payload = fields.payload.value.trim() || "{}";
  try { JSON.parse(payload); } catch (error) { answerText(`The payload is not JSON: ${error.message}`, "bad"); return; }
  const names = ["topic", "event_id", "timestamp", "source"].map(
    name => `${JSON.stringify(name)}:${JSON.stringify(fields[name].value)}`);
  try {
    // The payload goes as it was written: its digits and the order of its keys are kept.
    const answer = await ask("/publish?results=true", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: `{${names.join(",")},"payload":${payload}}`,
    });
    const body = await answer.json();
    if (answer.ok) {
      const result = body.results[0];
      answerText(`${answer.status}: ${result.status}, seq ${result.seq}\n${body.message}`, result.status === "accepted" ? "good" : "bad");
    } else {
      const why = typeof body.detail === "string" ? body.detail : body.detail.map(one => `${one.loc.join(".")}: ${one.msg}`).join("\n");
      answerText(`${answer.status}: ${why}`, "bad");
    }
  } catch (error) {
    answerText(`There was no answer (${error.message}). Sending it again is safe.`, "bad");
  }
});
byId("publish-new").addEventListener("click", newEvent);

/* The token. */

byId("token-open").addEventListener("click", () => byId("token").showModal());
byId("token-close").addEventListener("click", () => byId("token").close());
byId("token-forget").addEventListener("click", () => {
  sessionStorage.removeItem(TOKEN);
  byId("token").close();
  restartTail();
});
byId("token-form").addEventListener("submit", submitted => {
  submitted.preventDefault();
  sessionStorage.setItem(TOKEN, byId("token-input").value);
  byId("token-input").value = "";
  askedForToken = false;
  byId("token").close();
  restartTail();
});

/* The rounds. */

async function everySecond() {
  for (let turn = 0; ; turn += 1) {
    try {
      await showHealth();
      const answer = await ask("/stats");
      if (answer.ok) {
        notice("");
        const stats = await answer.json();
        showStats(stats);
        await showCommits();
        // Long lists are asked for less often.
        if (turn % Math.max(2, Math.ceil(stats.topic_count / 500)) === 0) await loadTopics();
      } else if (answer.status === 401) {
        notice("This server asks for a token: open “Token” and enter one that may read.");
      } else {
        const detail = (await answer.json()).detail;
        notice(typeof detail === "string" ? detail : `The server answered ${answer.status}.`);
      }
    } catch {
      byId("health").className = "pill bad";
      setText("health", "no answer");
      notice("The server does not answer. This page goes on as soon as it does.");
    }
    await sleep(document.hidden ? 5000 : 1000);
  }
}

newEvent();
showTopics();
everySecond();
runTail();
