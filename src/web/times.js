// Moments: how events write them, and how this page shows them.

const FORM = /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.](\d{1,9}))?)?(?:[Zz]|([+-])(\d\d):?(\d\d)?)?)?$/;
const MINUTE = 60000;
const ZONE = "zone";

/** The event that is sent to the page when times are to be shown in another zone. */
export const ZONE_CHANGED = "zone-changed";

export const isLocal = () => localStorage.getItem(ZONE) === "local";

export function showLocal(is) {
  if (is) localStorage.setItem(ZONE, "local");
  else localStorage.removeItem(ZONE);
  document.dispatchEvent(new Event(ZONE_CHANGED));
}

/** Milliseconds since 1970 of a timestamp as events have it; not a number if it is none. */
export function instantOf(timestamp) {
  const parts = FORM.exec(timestamp);
  if (parts === null) return NaN;
  const [, year, month, day, hour = 0, minute = 0, second = 0, fraction = "0", sign, offsetHour = 0, offsetMinute = 0] = parts;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second, Math.floor(Number(`0.${fraction}`) * 1000));
  const offset = (Number(offsetHour) * 60 + Number(offsetMinute)) * MINUTE;
  return date.getTime() - (sign === "-" ? -offset : offset);
}

/** The day and the time of a moment, in the zone that the reader has chosen. */
export function partsOf(instant) {
  if (!Number.isFinite(instant)) return { day: "–", time: "–" };
  const shift = isLocal() ? new Date(instant).getTimezoneOffset() * MINUTE : 0;
  const [day, time] = new Date(instant - shift).toISOString().split("T");
  return { day, time: time.slice(0, 12) };
}

/** A moment as short as it can be: today's without the day. */
export function short(instant) {
  const { day, time } = partsOf(instant);
  const today = partsOf(Date.now()).day;
  if (day === today) return time;
  return day.slice(0, 5) === today.slice(0, 5) ? `${day.slice(5)} ${time.slice(0, 8)}` : `${day} ${time.slice(0, 5)}`;
}

/** The edge of a bucket of this many seconds. */
export function edge(instant, interval) {
  const { day, time } = partsOf(instant);
  if (interval >= 86400) return day;
  const clock = interval < 60 ? time.slice(0, 8) : time.slice(0, 5);
  return day === partsOf(Date.now()).day ? clock : `${day.slice(5)} ${clock}`;
}

/** A span of time as people say it. */
export function span(milliseconds) {
  const units = [[86400000, "d"], [3600000, "h"], [60000, "min"], [1000, "s"], [1, "ms"]];
  const size = Math.abs(milliseconds);
  const [unit, name] = units.find(([unit]) => size >= unit) ?? [1, "ms"];
  const number = size / unit;
  return `${number < 10 && unit > 1 ? Number(number.toFixed(1)) : Math.round(number)} ${name}`;
}
