// Which member of a payload says how serious an event is, and what its values mean.

/** The members that are taken for it, by rank. */
const MEMBERS = [
  "level", "severity", "severityText", "severity_text", "lvl", "log.level", "loglevel", "levelname", "PRIORITY",
];

const CLASSES = new Map(Object.entries({
  error: ["error", "err", "fatal", "critical", "crit", "alert", "emerg", "emergency", "panic", "severe"],
  warn: ["warn", "warning"],
  info: ["info", "notice", "information", "informational"],
  debug: ["debug", "trace", "verbose", "fine", "finer", "finest"],
}).flatMap(([name, values]) => values.map(value => [value, name])));

/** The classes, the most serious first; "" is what has no level or one of an unknown name. */
export const LEVELS = ["error", "warn", "info", "debug", ""];

/** The class of a value. Numbers are those of syslog (0 to 7) or of pino (10 to 60). */
export function classOf(value) {
  if (/^\d{1,2}$/.test(value)) {
    const number = Number(value);
    if (number <= 7) return number <= 3 ? "error" : number === 4 ? "warn" : number === 7 ? "debug" : "info";
    return number >= 50 ? "error" : number >= 40 ? "warn" : number >= 30 ? "info" : "debug";
  }
  return CLASSES.get(value.toLowerCase().replace(/\d$/, "")) ?? "";
}

/** The first of these names of members that says a level, in quotes or not; undefined if none does. */
export function memberOf(names) {
  const found = MEMBERS.map(member => names.find(name => name === member || name === `"${member}"`));
  return found.find(name => name !== undefined);
}
