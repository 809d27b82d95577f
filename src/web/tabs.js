// The tabs: one part of the page is shown, and the address says which.
import { addressOf, search, SEARCH_CHANGED } from "./query.js";
import { byId } from "./text.js";

const TAB = "_tab";

/** The event that is sent to the page when another tab is shown. */
export const TAB_CHANGED = "tab-changed";

const links = [...document.querySelectorAll("nav [data-tab]")];
const names = links.map(link => link.dataset.tab);

/** The name of the tab that is shown. */
export let tab = "";

function hrefOf(name) {
  const address = addressOf(search);
  return name === "events" ? address : `${address}&${TAB}=${name}`;
}

function show() {
  const asked = new URLSearchParams(location.search).get(TAB);
  tab = names.includes(asked) ? asked : "events";
  for (const link of links) {
    link.href = hrefOf(link.dataset.tab);
    if (link.dataset.tab === tab) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    byId(`tab-${link.dataset.tab}`).hidden = link.dataset.tab !== tab;
  }
  document.dispatchEvent(new Event(TAB_CHANGED));
}

for (const link of links) {
  link.addEventListener("click", clicked => {
    // A new tab or window of the browser is opened by the browser.
    if (clicked.ctrlKey || clicked.metaKey || clicked.shiftKey) return;
    clicked.preventDefault();
    history.pushState(null, "", hrefOf(link.dataset.tab));
    show();
  });
}
document.addEventListener(SEARCH_CHANGED, show);
addEventListener("popstate", show);
show();
