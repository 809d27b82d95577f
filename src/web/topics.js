// The topics with their counts and rates, in an order of the reader's choice.
import { ask } from "./ask.js";
import { change } from "./query.js";
import { ago, byId, element, rate, setText, visible, walkWithArrows, whole } from "./text.js";

const SHOWN_TOPICS = 500;

const ORDERS = {
  topic: (a, b) => (a.topic < b.topic ? -1 : 1),
  events: (a, b) => b.events - a.events,
  rate: (a, b) => b.rate - a.rate || b.events - a.events,
  last: (a, b) => b.last_seq - a.last_seq,
};

let topics = [];
let loadedAt = 0;
let order = "events";
/** The rows by topic: one that stays is the same element, so that a click or the focus on it holds. */
let rows = new Map();

export async function loadTopics() {
  const answer = await ask("/topics");
  if (!answer.ok) return;
  const list = (await answer.json()).topics;
  const now = performance.now();
  const known = new Map(topics.map(topic => [topic.topic, topic.events]));
  for (const topic of list) {
    const fresh = topic.events - (known.get(topic.topic) ?? 0);
    topic.rate = loadedAt > 0 ? Math.max(0, fresh) / ((now - loadedAt) / 1000) : 0;
  }
  [topics, loadedAt] = [list, now];
  showTopics();
}

function rowOf(topic) {
  const row = element("tr");
  const name = element("td");
  const choose = element("button", "entry", visible(topic));
  choose.type = "button";
  choose.tabIndex = -1;
  choose.title = `Events of ${visible(topic)}`;
  choose.addEventListener("click", () => change({ topic: [topic] }));
  name.append(choose);
  row.append(name, ...["events", "rate", "last"].map(() => element("td", "number")));
  return row;
}

function showTopics() {
  const wanted = byId("topics-filter").value.toLowerCase();
  const found = topics.filter(topic => topic.topic.toLowerCase().includes(wanted)).sort(ORDERS[order]);
  const shown = found.slice(0, SHOWN_TOPICS);
  rows = new Map(shown.map(({ topic }) => [topic, rows.get(topic) ?? rowOf(topic)]));
  const target = byId("topics");
  shown.forEach((topic, at) => {
    const row = rows.get(topic.topic);
    setText(row.children[1], whole.format(topic.events));
    setText(row.children[2], topic.rate > 0 ? rate(topic.rate) : "");
    setText(row.children[3], ago(topic.last_processed_at));
    if (target.children[at] !== row) target.insertBefore(row, target.children[at] ?? null);
  });
  while (target.childElementCount > shown.length) target.lastElementChild.remove();
  const hidden = found.length - shown.length;
  const none = topics.length > 0 ? "No topic matches." : "No topics yet.";
  setText("topics-more", hidden > 0 ? `${whole.format(hidden)} more` : found.length > 0 ? "" : none);
}

for (const button of document.querySelectorAll("[data-order]")) {
  button.addEventListener("click", () => {
    order = button.dataset.order;
    for (const other of document.querySelectorAll("[data-order]")) {
      const heading = other.closest("th");
      if (other === button) heading.setAttribute("aria-sort", order === "topic" ? "ascending" : "descending");
      else heading.removeAttribute("aria-sort");
    }
    showTopics();
  });
}
byId("topics-filter").addEventListener("input", showTopics);
walkWithArrows(byId("topics-scroll"));
showTopics();
