// What came in by protocol since the server started, and at which rate.
import { byId, element, rate, setText, whole } from "./text.js";

const RESULTS = ["accepted", "duplicate", "conflict", "rejected"];

let known = new Map();
let knownAt = 0;

/** Shows what the text of /metrics says of protocols. */
export function showShippers(text) {
  const pattern = /^log_aggregator_ingest_records_total\{protocol="([^"]+)",result="([^"]+)"\} (\d+)/gm;
  const protocols = new Map();
  for (const [, protocol, result, number] of text.matchAll(pattern)) {
    const counts = protocols.get(protocol) ?? {};
    counts[result] = Number(number);
    protocols.set(protocol, counts);
  }
  const seconds = (performance.now() - knownAt) / 1000;
  const used = [...protocols].filter(([, counts]) => RESULTS.some(result => counts[result] > 0));
  const rows = used.map(([protocol, counts]) => rowOf(protocol, counts, known.get(protocol), seconds));
  byId("shippers").replaceChildren(...rows);
  byId("shippers-table").hidden = used.length === 0;
  setText("shippers-more", used.length === 0 ? "Nothing has come in since the server started." : "");
  [known, knownAt] = [protocols, performance.now()];
}

function rowOf(protocol, counts, before, seconds) {
  const row = element("tr");
  const head = element("th", "", protocol);
  head.scope = "row";
  const accepted = before === undefined ? NaN : (counts.accepted - before.accepted) / seconds;
  const cell = result => element("td", `number ${counts[result] > 0 ? result : ""}`, whole.format(counts[result] ?? 0));
  row.append(head, ...RESULTS.map(cell),
    element("td", "number", accepted > 0 ? rate(accepted) : ""));
  return row;
}
