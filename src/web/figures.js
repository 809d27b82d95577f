// Health, counts and rates, the size of the database, and how long commits take.
import { plot, plotHour } from "./plot.js";
import { byId, bytes, count, duration, rate, setText } from "./text.js";

const MINUTE = 60000;
/** A server whose health takes longer does not answer. */
const HEALTH_WITHIN = 5000;

/** Events accepted in the last second. */
export let acceptedNow = 0;
/** The last answer of /stats; null before the first. */
export let stats = null;
let statsAt = 0;

/** Shows a figure wherever the page has it. */
function setFigure(name, text) {
  for (const place of document.querySelectorAll(`[data-figure="${name}"]`)) setText(place, text);
}

/** Dims the figures while they are those of before. */
export function setStale(is) {
  document.body.classList.toggle("stale", is);
}

export async function showHealth() {
  const answer = await fetch("/health", { cache: "no-store", signal: AbortSignal.timeout(HEALTH_WITHIN) });
  const health = await answer.json();
  byId("health").className = `pill ${answer.ok ? "good" : "bad"}`;
  setText("health", answer.ok ? "healthy" : `unhealthy: ${health.reason}`);
}

export function showStats(fresh, round) {
  const rates = { accepted: NaN, duplicates: NaN, conflicts: NaN };
  if (stats !== null && fresh.received >= stats.received) {
    const seconds = (round.at - statsAt) / 1000;
    rates.accepted = (fresh.unique_processed - stats.unique_processed) / seconds;
    rates.duplicates = (fresh.duplicate_dropped - stats.duplicate_dropped) / seconds;
    rates.conflicts = (fresh.conflicts - stats.conflicts) / seconds;
  }
  [stats, statsAt] = [fresh, round.at];
  acceptedNow = rates.accepted || 0;
  Object.assign(round, rates);
  for (const [name, value] of Object.entries(rates)) setFigure(`rate-${name}`, Number.isNaN(value) ? "–" : rate(value));
  setText("total-accepted", `${count(stats.unique_processed)} total`);
  setText("total-duplicates", `${count(stats.duplicate_dropped)} total`);
  setText("total-conflicts", `${count(stats.conflicts)} total`);
  const [size, unit] = bytes(stats.database_bytes);
  setFigure("database-size", size);
  setFigure("database-unit", unit);
  setText("database-more", `WAL ${bytes(stats.wal_bytes).join(" ")}`);
  setText("clients", count(stats.connections));
  setText("clients-more", `${count(stats.subscribers)} streaming, ${count(stats.queue_size)} queued`);
  setText("about", `${stats.version}, up ${stats.uptime_human}`);
  plot("plot-rates", ["accepted", "duplicates", "conflicts"], 10, count);
}

/** Draws what the server has kept of the last hour. */
export function showHour(hour) {
  const { interval_seconds: seconds, accepted } = hour;
  const now = performance.now();
  const rounds = accepted.map((count, at) => ({
    at: now - (accepted.length - 1 - at) * seconds * 1000,
    accepted: count / seconds,
    duplicates: hour.duplicates[at] / seconds,
    conflicts: hour.conflicts[at] / seconds,
    median: hour.commits[at] > 0 ? hour.commit_p50_us[at] / 1000 : NaN,
    slowest: hour.commits[at] > 0 ? hour.commit_p99_us[at] / 1000 : NaN,
  }));
  plotHour("hour-rates", rounds, ["accepted", "duplicates", "conflicts"], 10, count);
  plotHour("hour-commit", rounds, ["median", "slowest"], 1, short);
  const { count: commits, ...times } = hour.all_commits;
  const [median, p99, most] = [times.p50_us, times.p99_us, times.slowest_us].map(us => duration(us / 1e6).join(" "));
  setText("hour-commits", commits > 0 ? `${count(commits)} commits: median ${median}, p99 ${p99}, max ${most}` : "");
}

const short = value => String(Number(value.toPrecision(2)));

/** The cumulative buckets of the time of commits, out of the text of /metrics. */
function bucketsOf(text) {
  const pattern = /^log_aggregator_commit_duration_seconds_bucket\{le="([^"]+)"\} (\S+)/gm;
  const pair = ([, bound, number]) => [bound === "+Inf" ? Infinity : Number(bound), Number(number)];
  return [...text.matchAll(pattern)].map(pair);
}

/** Those of the commits between two moments. */
function between(earlier, later) {
  return later.map(([bound, number], at) => [bound, number - earlier[at][1]]);
}

function quantile(buckets, share) {
  const all = buckets.at(-1)[1];
  if (all === 0) return NaN;
  let [lower, below] = [0, 0];
  for (const [bound, number] of buckets) {
    if (number >= share * all && number > below) {
      return bound === Infinity ? lower : lower + (bound - lower) * ((share * all - below) / (number - below));
    }
    [lower, below] = [bound, number];
  }
  return lower;
}

/** What each round of the last minute has found. */
let rounds = [];

/** Shows what the text of /metrics says of commits. */
export function showCommits(text, round) {
  const buckets = bucketsOf(text);
  if (buckets.length === 0) return;
  // The counts start from 0 with the process.
  if (rounds.length > 0 && rounds.at(-1).buckets.at(-1)[1] > buckets.at(-1)[1]) rounds = [];
  if (rounds.length > 0) {
    const fresh = between(rounds.at(-1).buckets, buckets);
    round.median = quantile(fresh, 0.5) * 1e3;
    round.slowest = quantile(fresh, 0.99) * 1e3;
  }
  rounds = rounds.filter(one => one.at > round.at - MINUTE);
  rounds.push({ at: round.at, buckets });
  let [shown, span] = [between(rounds[0].buckets, buckets), ""];
  if (shown.at(-1)[1] === 0) [shown, span] = [buckets, " since the start"];
  const [number, unit] = duration(quantile(shown, 0.5));
  setText("commit-median", number);
  setText("commit-unit", unit);
  const slowest = duration(quantile(shown, 0.99));
  setText("commit-more", number === "–" ? "none yet" : `p99 ${slowest.join(" ")}${span}`);
  setFigure("commit-slowest", slowest[0]);
  setFigure("commit-slowest-unit", slowest[1]);
  plot("plot-commit", ["median", "slowest"], 1, short);
}
