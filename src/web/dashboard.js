// The dashboard: polls the server and shows the answers in the tab that is open.
import { ask, reason, TOKEN_CHANGED } from "./ask.js";
import { setStale, showCommits, showHealth, showHour, showStats, stats } from "./figures.js";
import { sample } from "./plot.js";
import { loadRejected } from "./rejected.js";
import { restart } from "./search.js";
import { showShippers } from "./shippers.js";
import { loadSubscriptions } from "./subscriptions.js";
import { loadTopics } from "./topics.js";
import { tab, TAB_CHANGED } from "./tabs.js";
import { byId, setText, sleep } from "./text.js";
import "./api.js";
import "./bar.js";
import "./keys.js";
import "./publish.js";

/** Lists up to this many topics are requested each second, longer ones less often. */
const TOPICS_A_SECOND = 500;
/** Where no plot shows them, how long commits take is asked for at this interval, in seconds. */
const METRICS_SELDOM = 5;
/** The server records the last hour at this interval, in seconds. */
const HOUR_SELDOM = 10;
/** A round that takes more milliseconds is not waited for: a link may be slow, or the server hang. */
const ROUND_WITHIN = 10000;

let isStarted = false;

function notice(text) {
  byId("notice").hidden = text === "";
  setText("notice", text);
}

/** Asks for what the open tab shows besides the figures. */
async function lookAtTab(turn, round, fresh) {
  const isSeldom = tab !== "server" && tab !== "shippers";
  if (!isSeldom || turn % METRICS_SELDOM === 0) {
    const answer = await ask("/metrics");
    if (answer.ok) {
      const text = await answer.text();
      showCommits(text, round);
      if (tab === "shippers") showShippers(text);
    }
  }
  if (tab === "shippers") await loadRejected(fresh);
  if (tab === "subscriptions") await loadSubscriptions();
  if (tab === "topics" && turn % Math.ceil((fresh.topic_count + 1) / TOPICS_A_SECOND) === 0) await loadTopics();
}

async function look(turn) {
  const round = sample();
  await showHealth();
  const withHour = tab === "server" && turn % HOUR_SELDOM === 0;
  const answer = await ask(withHour ? "/stats?last_hour=1" : "/stats");
  if (answer.status === 401) {
    notice("This server requires a token: open “Token” and enter one with the read scope.");
    return;
  }
  if (!answer.ok) {
    notice(await reason(answer));
    return;
  }
  notice("");
  const fresh = await answer.json();
  const isOther = stats !== null && (fresh.database_id !== stats.database_id || fresh.last_seq < stats.last_seq);
  showStats(fresh, round);
  if (fresh.last_hour) showHour(fresh.last_hour);
  setStale(false);
  if (isOther || !isStarted) restart();
  isStarted = true;
  await lookAtTab(turn, round, fresh);
}

async function run() {
  let [turn, lastTab] = [0, tab];
  for (;;) {
    try {
      // What hangs is left alone: the next round finds out whether the server answers.
      await Promise.race([look(turn), sleep(ROUND_WITHIN, new AbortController().signal)]);
    } catch {
      byId("health").className = "pill bad";
      setText("health", "no answer");
      setStale(true);
      notice("The server does not answer. This page resumes when it does.");
    }
    const rest = new AbortController();
    const { signal } = rest;
    for (const name of ["visibilitychange", TOKEN_CHANGED, TAB_CHANGED]) {
      document.addEventListener(name, () => rest.abort(), { signal });
    }
    await sleep(document.hidden ? 5000 : 1000, signal);
    rest.abort();
    // What another tab shows is asked for at once.
    turn = tab === lastTab ? turn + 1 : 0;
    lastTab = tab;
  }
}

run();
