// What one takes away from the page: the events that match as a file, commands for a terminal, and links.
import { ask, hasToken, reason } from "./ask.js";
import { addressOf, queryOf, search } from "./query.js";
import { byId, bytes, copy, element, menu, setText } from "./text.js";

export const eventPath = event => `/events/${encodeURIComponent(event.topic)}/${encodeURIComponent(event.event_id)}`;

/** A text as one word for a shell. */
export const shellWord = text => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

/** The command that asks for an address; the token is left to the shell. */
export function curlOf(path, ...more) {
  const token = hasToken() ? ["-H", "\"Authorization: Bearer $TOKEN\""] : [];
  return ["curl", ...token, ...more.map(shellWord), shellWord(location.origin + path)].join(" ");
}

/** A search that finds this event alone, with the event open. */
export const linkOf = event => location.origin + addressOf({
  topic: [event.topic], source: [], event_id: [event.event_id], where: [], words: [], since: "", until: "", time: "",
  around: 0, event: event.seq, isLive: true,
});

const exportPath = () => `/subscribe?${queryOf(search, { follow: "false" })}`;

/** The search as a command of this program. */
export function commandOf(one) {
  const options = [["topic", one.topic], ["source", one.source], ["event-id", one.event_id], ["where", one.where],
    ["since", one.since ? [one.since] : []], ["until", one.until ? [one.until] : []], ["q", one.words]];
  const words = options.flatMap(([name, values]) => values.map(value => `--${name}=${shellWord(value)}`));
  if (one.time === "received") words.push("--received");
  return ["logagg search", ...words].join(" ");
}

let running = null;

function save(blob) {
  const link = element("a");
  link.href = URL.createObjectURL(blob);
  link.download = `events-${new Date().toISOString().slice(0, 19).replace(/[-:]/g, "")}.ndjson`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

/** Downloads all events that match. */
async function download() {
  running?.abort();
  running = new AbortController();
  const { signal } = running;
  const say = text => setText("export-state", text);
  byId("export-box").hidden = false;
  say("exporting");
  try {
    const answer = await ask(exportPath(), { headers: { Accept: "application/x-ndjson" }, signal });
    if (!answer.ok) throw new Error(await reason(answer));
    let size = 0;
    const counted = new TransformStream({
      transform(piece, out) {
        size += piece.length;
        say(`exporting, ${bytes(size).join(" ")}`);
        out.enqueue(piece);
      },
    });
    save(await new Response(answer.body.pipeThrough(counted)).blob());
    say(`exported ${bytes(size).join(" ")}`);
    setTimeout(() => { if (running?.signal === signal) byId("export-box").hidden = true; }, 5000);
  } catch (error) {
    if (signal.aborted) byId("export-box").hidden = true;
    else say(`not exported: ${error.message}`);
  }
}

const close = menu(byId("export"), byId("export-menu"));
byId("export-file").addEventListener("click", () => { close(); download(); });
byId("export-curl").addEventListener("click", () => {
  copy(curlOf(exportPath(), "-H", "Accept: application/x-ndjson"), byId("export-curl"));
});
byId("export-command").addEventListener("click", () => copy(commandOf(search), byId("export-command")));
byId("export-cancel").addEventListener("click", () => running?.abort());
byId("copy-link").addEventListener("click", () => copy(location.origin + addressOf(search), byId("copy-link")));
