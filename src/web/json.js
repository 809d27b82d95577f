// Events as the server writes them. Their text is taken as it came: JavaScript would round the digits of a
// payload's numbers and order its keys.
import { visible } from "./text.js";

const [QUOTE, BACKSLASH, OPEN_BRACE, CLOSE_BRACE, OPEN_BRACKET, CLOSE_BRACKET, COMMA, COLON] =
  [...'"\\{}[],:'].map(character => character.charCodeAt(0));

const opens = code => code === OPEN_BRACE || code === OPEN_BRACKET;
const closes = code => code === CLOSE_BRACE || code === CLOSE_BRACKET;
const isSpace = code => code === 32 || code >= 9 && code <= 13;

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
  // Within a string both would have a backslash before their quotes.
  const from = raw.indexOf(',"payload":') + 11;
  const to = raw.lastIndexOf(',"processed_at":');
  if (from < 11 || to < from) return JSON.parse(raw);
  const event = JSON.parse(`${raw.slice(0, from)}0${raw.slice(to)}`);
  return { ...event, payload: raw.slice(from, to), raw };
}

/** The events of a page and the members around them, from the text of the page. */
export function parsePage(page) {
  const events = [];
  let [depth, from, at] = [0, 0, page.indexOf(',"events":[') + 11];
  for (; depth >= 0 && at < page.length; at += 1) {
    const code = page.charCodeAt(at);
    if (code === QUOTE) at = stringEnd(page, at) - 1;
    else if (opens(code)) {
      if (depth === 0) from = at;
      depth += 1;
    } else if (closes(code)) {
      depth -= 1;
      if (depth === 0) events.push(parseEvent(page.slice(from, at + 1)));
    }
  }
  // Members follow the list, after a comma.
  return { ...JSON.parse(`{${page.slice(at + 1)}`), events };
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
    if (opens(code)) {
      const isEmpty = closes(json.charCodeAt(at));
      if (isEmpty) at += 1;
      take(at);
      if (!isEmpty) { depth += 1; newLine(); }
    } else if (closes(code)) {
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

/**
 * The values of an object that hold no others, up to `most` of them, in the order of the text: the names that
 * lead to each, without the places in arrays, and its JSON.
 */
export function leaves(json, most) {
  const found = [];
  /** For each object or array around: the name of the member that is read; in an array null. */
  const around = [];
  let [at, isName] = [0, false];
  const take = to => {
    found.push({ names: around.filter(name => name !== null), json: json.slice(at, to) });
    at = to;
  };
  while (at < json.length && found.length < most) {
    const code = json.charCodeAt(at);
    if (isSpace(code) || code === COLON) at += 1;
    else if (opens(code)) {
      let next = at + 1;
      while (isSpace(json.charCodeAt(next))) next += 1;
      if (closes(json.charCodeAt(next))) { take(next + 1); continue; }
      around.push(code === OPEN_BRACE ? "" : null);
      isName = code === OPEN_BRACE;
      at = next;
    } else if (closes(code)) {
      around.pop();
      at += 1;
    } else if (code === COMMA) {
      isName = around.at(-1) !== null;
      at += 1;
    } else if (code === QUOTE && isName) {
      const end = stringEnd(json, at);
      around[around.length - 1] = JSON.parse(json.slice(at, end));
      [at, isName] = [end, false];
    } else if (code === QUOTE) take(stringEnd(json, at));
    else {
      let end = at + 1;
      while (end < json.length && !",]} \n\r\t".includes(json[end])) end += 1;
      take(end);
    }
  }
  return found;
}

export const isString = json => json.charCodeAt(0) === QUOTE;

/** The text of a string, a number or a word; of a string with more than `most` characters of JSON its beginning. */
export function textOf(json, most = Infinity) {
  if (!isString(json)) return json;
  if (json.length <= most) return JSON.parse(json);
  // An escape that is cut is left out.
  let cut = json.slice(0, most);
  const [slashes] = cut.match(/\\*$/);
  if (slashes.length % 2 === 1) cut = cut.slice(0, -1);
  cut = cut.replace(/(^|[^\\])((?:\\\\)*)\\u[0-9a-fA-F]{0,3}$/, "$1$2");
  return JSON.parse(`${cut}"`);
}
