// The keys that work everywhere but in fields.
import { close, isOpen } from "./detail.js";
import * as rows from "./rows.js";
import { tab } from "./tabs.js";
import { byId } from "./text.js";

const isField = target => target.matches("input:not([type=radio]), textarea, select");

document.addEventListener("keydown", pressed => {
  if (pressed.ctrlKey || pressed.altKey || pressed.metaKey || pressed.defaultPrevented) return;
  if (document.querySelector("dialog[open]") || isField(pressed.target) || tab !== "events") return;
  if (pressed.key === "/") byId("words").focus();
  else if (pressed.key === "j" || pressed.key === "J") rows.step(1);
  else if (pressed.key === "k" || pressed.key === "K") rows.step(-1);
  else if (pressed.key === "Escape" && isOpen()) close();
  else if (pressed.key === "Escape") document.body.classList.remove("with-fields");
  else return;
  pressed.preventDefault();
});

byId("fields-open").addEventListener("click", () => {
  const is = document.body.classList.toggle("with-fields");
  byId("fields-open").setAttribute("aria-expanded", String(is));
});
