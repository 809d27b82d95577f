// The terms of a search for words, and where a text has them.

/** The letters, digits and other characters of which words are made. */
const WORD = "[A-Za-z0-9_\\u0080-\\uffff]";
const isWord = new RegExp(WORD);
/** A text has no more places that are marked. */
const MOST_MARKS = 100;

/** The terms of a text as they are written. What is not a term (an open quote) stays as it is. */
export function split(text) {
  return text.match(/-?\*?"(?:\\["\\]|[^"])*"\*?|\S+/g) ?? [];
}

/** What a term searches for; null if it is negative or not a term. */
function patternOf(term) {
  const parts = /^(\*?)(?:"((?:\\["\\]|[^"])+)"(\*?)|([^"\s]\S*?)(\*?))$/s.exec(term);
  if (parts === null || term.startsWith("-")) return null;
  const [, before, quoted, afterQuoted, run, afterRun] = parts;
  const text = quoted === undefined ? run : quoted.replace(/\\(["\\])/g, "$1");
  const after = afterQuoted || afterRun;
  const letters = [...text].map(one => {
    if (/[a-z]/i.test(one) && one.length === 1 && one < "\u0080") return `[${one.toLowerCase()}${one.toUpperCase()}]`;
    return one.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
  });
  const isOpen = !before && isWord.test(text[0]) ? `(?<!${WORD})` : "";
  const isClosed = !after && isWord.test(text.at(-1)) ? `(?!${WORD})` : "";
  return new RegExp(isOpen + letters.join("") + isClosed, "g");
}

/** What these terms search for, without the negative ones. */
export const patterns = terms => terms.map(patternOf).filter(pattern => pattern !== null);

/** The places of a text that have one of the patterns: pairs of offsets, in order, none within another. */
export function marks(text, found) {
  const places = [];
  for (const pattern of found) {
    pattern.lastIndex = 0;
    for (let one = pattern.exec(text); one !== null && places.length < MOST_MARKS; one = pattern.exec(text)) {
      places.push([one.index, one.index + one[0].length]);
      pattern.lastIndex = one.index + 1;
    }
  }
  places.sort((a, b) => a[0] - b[0]);
  const merged = [];
  for (const [from, to] of places) {
    const last = merged.at(-1);
    if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to);
    else merged.push([from, to]);
  }
  return merged;
}
