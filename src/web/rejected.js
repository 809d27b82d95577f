// The newest records that could not become events. Without any the section is hidden.
import { ask } from "./ask.js";
import { byId, bytes, element, visible } from "./text.js";

const SHOWN_RECORDS = 10;
/** A row shows no more of a record or of a reason, in characters. */
const ROW_TEXT = 200;

/** The statistics that the rows are of; null while they may be of others. */
let known = null;

/** Asks for the records if the statistics say that there may be others than those shown. */
export async function loadRejected(stats) {
  // The count starts from 0 with the process.
  const isSame = known?.database_id === stats.database_id && known.rejected === stats.rejected
    && known.uptime_seconds <= stats.uptime_seconds;
  known = isSame ? stats : null;
  if (isSame) return;
  const answer = await ask(`/rejected?limit=${SHOWN_RECORDS}`);
  if (!answer.ok) return;
  const { rejected } = await answer.json();
  byId("rejected").replaceChildren(...rejected.map(rowOf));
  byId("rejected-section").hidden = rejected.length === 0;
  known = stats;
}

function rowOf(record) {
  const row = element("tr");
  const received = element("td", "time", record.received_at.slice(0, 19).replace("T", " "));
  received.title = record.received_at;
  row.append(received, element("td", "protocol", visible(record.protocol)), element("td", "peer", visible(record.peer)),
    element("td", "number", bytes(record.bytes).join(" ")), element("td", "reason", beginning(record.reason)),
    element("td", "record", beginning(record.record ?? decoded(record.record_base64), record.truncated)));
  return row;
}

function beginning(text, isCut = false) {
  const start = visible(text.slice(0, ROW_TEXT));
  return isCut || text.length > ROW_TEXT ? `${start}…` : start;
}

/** Bytes that are not UTF-8 as far as they are text. */
function decoded(base64) {
  return new TextDecoder().decode(Uint8Array.from(atob(base64), one => one.charCodeAt(0)));
}
