// The bar above the events: what is searched for as chips, the field that adds to it, and the time.
import { change, search, SEARCH_CHANGED, withTyped } from "./query.js";
import { button, byId, element, menu, setText, visible } from "./text.js";
import { instantOf, isLocal, partsOf, showLocal, span, ZONE_CHANGED } from "./times.js";

const AGES = [["5m", "Last 5 minutes"], ["15m", "Last 15 minutes"], ["1h", "Last 1 hour"], ["6h", "Last 6 hours"],
  ["1d", "Last 1 day"], ["7d", "Last 7 days"], ["30d", "Last 30 days"], ["", "All time"]];

const input = byId("words");

/** A chip's text, what it is for readers, and the search without it. */
function* parts() {
  if (search.around) {
    yield ["around", `around event ${search.around}`, {}];
    return;
  }
  const names = { topic: "topic:", source: "source:", event_id: "id:" };
  for (const name of ["topic", "source", "event_id", "where"]) {
    for (const value of search[name]) {
      yield [name, `${names[name] ?? ""}${value}`, { [name]: search[name].filter(other => other !== value) }];
    }
  }
  for (const word of search.words) {
    yield [word.startsWith("-") ? "not" : "word", word, { words: search.words.filter(other => other !== word) }];
  }
}

function showChips() {
  byId("chips").replaceChildren(...[...parts()].map(([kind, text, rest]) => {
    const item = element("li", `chip ${kind}`);
    const label = button("label", visible(text), `Edit ${visible(text)}`);
    label.addEventListener("click", () => {
      const isSpaced = /\s/.test(text) && /^(topic|source|id):/.test(text);
      if (kind !== "around") input.value = isSpaced ? text.replace(/:(.*)/s, ":\"$1\"") : text;
      change(rest);
      input.focus();
    });
    const remove = button("remove", "×", `Remove ${visible(text)}`);
    remove.addEventListener("click", () => {
      change(rest);
      input.focus();
    });
    item.append(label, remove);
    return item;
  }));
}

/** The chosen time in words. */
function rangeText() {
  const { since, until } = search;
  const name = AGES.find(([age]) => age === since);
  if (name && !until) return name[1];
  const moment = text => {
    const instant = instantOf(text);
    if (Number.isNaN(instant)) return text;
    const { day, time } = partsOf(instant);
    return `${day.slice(5)} ${time.slice(0, 8)}`;
  };
  if (!until) return `Since ${moment(since)}`;
  if (!since) return `Until ${moment(until)}`;
  const size = instantOf(until) - instantOf(since);
  return `${moment(since)}${Number.isNaN(size) ? ` to ${moment(until)}` : ` + ${span(size)}`}`;
}

function showRange() {
  setText("range-text", search.around ? "Around" : visible(rangeText()));
  byId("range-since").value = search.since;
  byId("range-until").value = search.until;
  for (const choice of document.querySelectorAll("[data-age]")) {
    choice.setAttribute("aria-pressed", String(choice.dataset.age === search.since && search.until === ""));
  }
  for (const [name, chosen] of [["time", search.time || "event"], ["zone", isLocal() ? "local" : "utc"]]) {
    for (const choice of document.getElementsByName(name)) choice.checked = choice.value === chosen;
  }
}

const close = menu(byId("range"), byId("range-menu"));

function searchTyped() {
  const line = input.value;
  input.value = "";
  change(withTyped(search, line));
}

byId("ages").append(...AGES.map(([age, text]) => {
  const choice = button("choice", text);
  choice.dataset.age = age;
  choice.addEventListener("click", () => {
    close();
    change({ since: age, until: "" });
  });
  return choice;
}));
byId("range-form").addEventListener("submit", submitted => {
  submitted.preventDefault();
  close();
  change({ since: byId("range-since").value.trim(), until: byId("range-until").value.trim() });
});
for (const choice of document.querySelectorAll("[name=time]")) {
  choice.addEventListener("change", () => change({ time: choice.value }));
}
for (const choice of document.querySelectorAll("[name=zone]")) {
  choice.addEventListener("change", () => showLocal(choice.value === "local"));
}
byId("search").addEventListener("submit", submitted => {
  submitted.preventDefault();
  searchTyped();
});
input.addEventListener("keydown", pressed => {
  if (pressed.key === "Backspace" && input.value === "") {
    const last = byId("chips").lastElementChild;
    if (last) {
      last.querySelector(".label").click();
      pressed.preventDefault();
    }
  } else if (pressed.key === "Escape") input.blur();
});
// A click beside the chips is meant for the field.
byId("search").addEventListener("click", clicked => {
  if (clicked.target === byId("search")) input.focus();
});

function show() {
  showChips();
  showRange();
}

document.addEventListener(SEARCH_CHANGED, show);
document.addEventListener(ZONE_CHANGED, show);
show();
