// Events as the server writes them. Their text is taken as it came: JavaScript would round the digits of a
// payload's numbers and order its keys.
import { hasToken } from "./ask.js";
import { byId, setText, visible } from "./text.js";

const [QUOTE, BACKSLASH, OPEN_BRACE, CLOSE_BRACE, OPEN_BRACKET, CLOSE_BRACKET, COMMA, COLON] =
  [...'"\\{}[],:'].map(character => character.charCodeAt(0));

/** The offset after the string that begins at `at`. */
function stringEnd(json, at) {
  for (;;) {
    at = json.indexOf('"', at + 1);
    if (at < 0) return json.length;
    let slashes = 0;
    while (json.charCodeAt(at - 1 - slashes) === BACKSLASH) slashes += 1;
    if (slashes % 2 === 0) return at + 1;
  }
}

/** One event's line: its members, and the text of its payload. */
export function parseEvent(raw) {
  const event = JSON.parse(raw);
  if (event.gap || event.reset) return event;
  // Within a string both would have a backslash before their quotes.
  const payload = raw.slice(raw.indexOf(',"payload":') + 11, raw.lastIndexOf(',"processed_at":'));
  return { ...event, payload, raw };
}

/** The events of a page and the address of the next page, from the text of the page. */
export function parsePage(page) {
  const events = [];
  let [depth, from, at] = [0, 0, page.indexOf(',"events":[') + 11];
  for (; depth >= 0 && at < page.length; at += 1) {
    const code = page.charCodeAt(at);
    if (code === QUOTE) at = stringEnd(page, at) - 1;
    else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      if (depth === 0) from = at;
      depth += 1;
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
      depth -= 1;
      if (depth === 0) events.push(parseEvent(page.slice(from, at + 1)));
    }
  }
  // Members follow the list, after a comma.
  const { next } = JSON.parse(`{${page.slice(at + 1)}`);
  return { events, next };
}

/** JSON without white space between its tokens, with each member on a line of its own. */
export function indented(json) {
  const parts = [];
  let [depth, from, at] = [0, 0, 0];
  const take = to => { parts.push(visible(json.slice(from, to))); from = to; };
  const newLine = () => parts.push(`\n${"  ".repeat(depth)}`);
  while (at < json.length) {
    const code = json.charCodeAt(at);
    if (code === QUOTE) { at = stringEnd(json, at); continue; }
    at += 1;
    if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      const next = json.charCodeAt(at);
      const isEmpty = next === CLOSE_BRACE || next === CLOSE_BRACKET;
      if (isEmpty) at += 1;
      take(at);
      if (!isEmpty) { depth += 1; newLine(); }
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
      take(at - 1);
      depth -= 1;
      newLine();
      take(at);
    } else if (code === COMMA) {
      take(at);
      newLine();
    } else if (code === COLON) {
      take(at);
      parts.push(" ");
    }
  }
  take(at);
  return parts.join("");
}

/** The event that is shown, as the server has written it. */
let shown = "";

export function showEvent(event) {
  shown = event.raw;
  setText("event-title", `Event ${event.seq}`);
  setText("event-text", indented(event.raw));
  setText("event-copy", "Copy");
  const link = byId("event-link");
  link.href = `/events/${encodeURIComponent(event.topic)}/${encodeURIComponent(event.event_id)}`;
  // Another tab has no token, and names that are dots alone are steps in a path.
  link.hidden = hasToken() || [event.topic, event.event_id].some(name => name === "." || name === "..");
  byId("event").showModal();
  byId("event-text").scrollTop = 0;
}

// Browsers give pages that are neither local nor encrypted no clipboard.
byId("event-copy").hidden = !navigator.clipboard;
byId("event-copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(shown);
    setText("event-copy", "Copied");
  } catch {
    setText("event-copy", "The browser does not allow it");
  }
});
