// The named subscriptions, with how far each is behind.
import { ask } from "./ask.js";
import { ago, byId, element, setText, visible, whole } from "./text.js";

const SHOWN = 500;

export async function loadSubscriptions() {
  const answer = await ask("/subscriptions");
  if (!answer.ok) return;
  const { subscriptions } = await answer.json();
  const most = Math.max(1, ...subscriptions.map(one => one.lag));
  byId("subscriptions").replaceChildren(...subscriptions.slice(0, SHOWN).map(one => rowOf(one, most)));
  byId("subscriptions-table").hidden = subscriptions.length === 0;
  const left = subscriptions.length - SHOWN;
  const none = subscriptions.length === 0 ? "There are no named subscriptions." : "";
  setText("subscriptions-more", left > 0 ? `${whole.format(left)} more` : none);
}

function rowOf({ name, after, lag, updated_at: updated, hold }, most) {
  const row = element("tr");
  const head = element("th", "", visible(name));
  head.scope = "row";
  const bar = element("meter");
  Object.assign(bar, { min: 0, max: most, value: lag });
  bar.setAttribute("aria-label", `Lag of ${visible(name)}`);
  const behind = element("td");
  behind.append(bar);
  const time = element("td", "number", ago(updated));
  time.title = updated;
  const number = value => element("td", "number", whole.format(value));
  row.append(head, number(after), number(lag), behind, time, element("td", "", hold ? "yes" : ""));
  return row;
}
