// Asks the server, with the token where there is one. The token is kept for this tab alone.
import { byId, setText } from "./text.js";

const TOKEN = "token";

/** The event that is sent to the page when the token has changed or was removed. */
export const TOKEN_CHANGED = "token-changed";

/** Whether the user was asked for a token already, to ask only once. */
let asked = false;

export const hasToken = () => sessionStorage.getItem(TOKEN) !== null;

function open(why) {
  setText("token-why", why);
  byId("token-forget").hidden = !hasToken();
  const dialog = byId("token");
  if (!dialog.open) dialog.showModal();
}

export async function ask(path, options = {}) {
  const headers = new Headers(options.headers);
  const token = sessionStorage.getItem(TOKEN);
  if (token !== null) headers.set("Authorization", `Bearer ${token}`);
  const answer = await fetch(path, { ...options, headers, cache: "no-store" });
  // An answer to an older token says nothing about the current one.
  if (answer.status === 401 && !asked && token === sessionStorage.getItem(TOKEN)) {
    asked = true;
    open(token === null ? "This server requires a token." : "The server does not know this token.");
  }
  return answer;
}

/** Why the server has refused, as one text. */
export async function reason(answer) {
  const { detail } = await answer.json();
  if (typeof detail === "string") return detail;
  return detail.map(one => `${one.loc.join(".")}: ${one.msg}`).join("\n");
}

function changed() {
  asked = false;
  byId("token").close();
  document.dispatchEvent(new Event(TOKEN_CHANGED));
}

byId("token-open").addEventListener("click", () => open(hasToken() ? "A token is set." : "No token is set."));
byId("token-close").addEventListener("click", () => byId("token").close());
byId("token-forget").addEventListener("click", () => {
  sessionStorage.removeItem(TOKEN);
  changed();
});
byId("token-form").addEventListener("submit", submitted => {
  submitted.preventDefault();
  sessionStorage.setItem(TOKEN, byId("token-input").value.trim());
  changed();
});
byId("token").addEventListener("close", () => { byId("token-input").value = ""; });
