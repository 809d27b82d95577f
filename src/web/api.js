// The requests with which programs get what the page shows.
import { eventsPath, queryOf, search, SEARCH_CHANGED } from "./query.js";
import { commandOf, curlOf } from "./save.js";
import { setText } from "./text.js";

function show() {
  setText("api-events", curlOf(eventsPath(search, 100)));
  setText("api-live", curlOf(`/subscribe?${queryOf(search)}`, "-N", "-H", "Accept: application/x-ndjson"));
  setText("api-histogram", curlOf(`/histogram?${queryOf(search, { by: "level" })}`));
  setText("api-fields", curlOf(`/fields?${queryOf(search)}`));
  setText("api-command", commandOf(search));
}

document.addEventListener(SEARCH_CHANGED, show);
show();
