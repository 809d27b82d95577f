// The lists of topics, sources and members with their values and counts, which choose what is searched for.
import { classOf, memberOf } from "./level.js";
import { get } from "./live.js";
import { change, conditionOf, partsOfCondition, queryOf, search, toggled } from "./query.js";
import { button, byId, element, visible, whole } from "./text.js";

const SHOWN_VALUES = 6;
const MORE_VALUES = 100;
/** A request counts no more fields without their own filters. */
const OWN_FIELDS = 8;
/** Of a field no more values are kept. */
const KEPT_VALUES = 1000;

/** The fields of which many values are shown, and the members that are unfolded. */
const [extended, unfolded] = [new Set(), new Set()];
/** What is shown, to be shown again when a list is unfolded. */
let shown = [];
let signalNow = null;
/** How often the lists have been asked for. Only the last answer is shown. */
let asked = 0;

/** The fields that have a filter: they are counted without it. */
function filtered() {
  const paths = search.where.map(partsOfCondition).filter(parts => parts?.operator === "=").map(parts => parts.path);
  const names = ["topic", "source"].filter(name => search[name].length > 0);
  return [...new Set([...names, ...extended, ...paths])].slice(0, OWN_FIELDS);
}

const ask = async (query, signal) => (await get(`/fields?${query}`, { signal })).json();

/** Asks for the values and shows them. Returns the member that says the level, if there is one. */
export async function loadFields(signal) {
  if (search.around) {
    byId("fields-list").replaceChildren();
    return undefined;
  }
  signalNow = signal;
  asked += 1;
  const number = asked;
  const own = filtered();
  const { fields, complete, scanned } = await ask(queryOf(search, { limit: SHOWN_VALUES }), signal);
  if (own.length > 0) {
    const by = own.map(name => `&by=${encodeURIComponent(name)}`).join("");
    const limit = extended.size > 0 ? MORE_VALUES : SHOWN_VALUES;
    const counted = (await ask(`${queryOf(search, { limit })}${by}`, signal)).fields;
    for (const field of counted) {
      if (!extended.has(field.field)) field.values.splice(SHOWN_VALUES);
      const at = fields.findIndex(other => other.field === field.field);
      field.chosen = at < 0 ? [] : fields[at].values;
      if (at < 0) fields.push(field);
      else fields[at] = field;
    }
  }
  signal.throwIfAborted();
  const level = memberOf(fields.map(({ field }) => field));
  if (number !== asked) return level;
  const rank = ({ field }) => ["topic", "source", level].indexOf(field) + 1 || 4;
  shown = fields.sort((a, b) => rank(a) - rank(b));
  show(level, complete ? "" : `of the newest ${whole.format(scanned)}`);
  return level;
}

function choose(field, value) {
  if (field === "topic" || field === "source") change(toggled(search, field, value));
  else change(toggled(search, "where", conditionOf(field, "=", value)));
}

function isChosen(field, value) {
  if (field === "topic" || field === "source") return search[field].includes(value);
  return search.where.includes(conditionOf(field, "=", value));
}

function valueRow(field, { value, count }, level) {
  const is = isChosen(field, value);
  const row = button("value");
  row.setAttribute("aria-pressed", String(is));
  row.dataset.key = `${field}\n${value}`;
  row.append(element("span", field === level ? `label ${classOf(value)}` : "label", visible(value) || "(empty)"),
    element("span", "count", whole.format(count)));
  row.addEventListener("click", () => choose(field, value));
  const item = element("li");
  item.append(row);
  return item;
}

/** The values that are chosen although they are not among those that are most frequent without this choice. */
function missing({ field, values, chosen = [] }) {
  const shown = new Set(values.map(({ value }) => value));
  const counted = chosen.filter(({ value }) => isChosen(field, value) && !shown.has(value));
  for (const { value } of counted) shown.add(value);
  const isName = field === "topic" || field === "source";
  const others = isName ? search[field].filter(value => !shown.has(value)) : [];
  return [...counted, ...others.map(value => ({ value, count: 0 }))];
}

function listOf(field, level) {
  const list = element("ul");
  const others = missing(field);
  list.append(...[...others, ...field.values].map(value => valueRow(field.field, value, level)));
  const hidden = field.distinct - field.values.length - others.filter(({ count }) => count > 0).length;
  if (hidden <= 0) return [list];
  const sum = field.distinct >= KEPT_VALUES ? `more than ${whole.format(hidden)}` : whole.format(hidden);
  if (extended.has(field.field)) return [list, element("p", "quiet", `${sum} more`)];
  const more = button("more plain", `${sum} more …`);
  more.append(element("span", "beside", ` values of ${visible(field.field)}`));
  more.dataset.key = `more\n${field.field}`;
  more.addEventListener("click", async () => {
    if (extended.size === OWN_FIELDS) extended.clear();
    extended.add(field.field);
    try {
      await loadFields(signalNow);
    } catch {
      // It is asked for again with the next search.
    }
  });
  return [list, more];
}

function sectionOf(field, level) {
  const isFirst = ["topic", "source", level].includes(field.field);
  if (isFirst) {
    const section = element("section");
    const name = field.field === level ? `payload ${visible(level)}` : field.field;
    section.append(element("h3", "", name), ...listOf(field, level));
    return section;
  }
  const details = element("details");
  details.open = unfolded.has(field.field) || search.where.some(text => partsOfCondition(text)?.path === field.field);
  const summary = element("summary", "", visible(field.field));
  summary.dataset.key = `fold\n${field.field}`;
  summary.append(element("span", "count", whole.format(field.count)));
  details.append(summary, ...listOf(field, level));
  details.addEventListener("toggle", () => {
    if (details.open) unfolded.add(field.field);
    else unfolded.delete(field.field);
  });
  return details;
}

function show(level, sample) {
  const target = byId("fields-list");
  const focused = target.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  const sections = shown.map(field => sectionOf(field, level));
  const first = sections.filter(section => section.localName === "section");
  const others = sections.filter(section => section.localName === "details");
  target.replaceChildren(...first);
  if (others.length > 0) target.append(element("h3", "", "members"), ...others);
  if (sample) target.append(element("p", "quiet", `Counts ${sample} events`));
  if (focused !== undefined) [...target.querySelectorAll("[data-key]")].find(one => one.dataset.key === focused)?.focus();
}
