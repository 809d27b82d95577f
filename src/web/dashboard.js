// The dashboard: polls the server each second and shows the answers.
import { ask, reason, TOKEN_CHANGED } from "./ask.js";
import { showCommits, showHealth, showStats, stats } from "./figures.js";
import { sample } from "./plot.js";
import { loadRejected } from "./rejected.js";
import { loadTopics } from "./topics.js";
import { restart } from "./tail.js";
import { byId, setText, sleep } from "./text.js";
import "./publish.js";

/** Lists up to this many topics are requested each second, longer ones less often. */
const TOPICS_A_SECOND = 500;

function notice(text) {
  byId("notice").hidden = text === "";
  setText("notice", text);
}

async function look(turn) {
  const round = sample();
  await showHealth();
  const answer = await ask("/stats");
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
  if (isOther) restart();
  await showCommits(round);
  await loadRejected(fresh);
  if (turn % Math.ceil((fresh.topic_count + 1) / TOPICS_A_SECOND) === 0) await loadTopics();
}

async function run() {
  for (let turn = 0; ; turn += 1) {
    try {
      await look(turn);
    } catch {
      byId("health").className = "pill bad";
      setText("health", "no answer");
      notice("The server does not answer. This page resumes when it does.");
    }
    const rest = new AbortController();
    const { signal } = rest;
    for (const name of ["visibilitychange", TOKEN_CHANGED]) document.addEventListener(name, () => rest.abort(), { signal });
    await sleep(document.hidden ? 5000 : 1000, signal);
    rest.abort();
  }
}

run();
