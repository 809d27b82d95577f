// The form that publishes an event and shows the answer.
import { ask, reason } from "./ask.js";
import { byId } from "./text.js";

const form = byId("publish");

function fillIn() {
  const random = crypto.getRandomValues(new Uint8Array(8));
  form.elements.event_id.value = `evt-${[...random].map(byte => byte.toString(16).padStart(2, "0")).join("")}`;
  form.elements.timestamp.value = new Date().toISOString();
  show("", "");
}

function show(text, className) {
  const target = byId("publish-answer");
  target.className = `wide ${className}`;
  target.textContent = text;
}

async function publish() {
  const fields = form.elements;
  const payload = fields.payload.value.trim() || "{}";
  try {
    JSON.parse(payload);
  } catch (error) {
    show(`The payload is not JSON: ${error.message}`, "bad");
    return;
  }
  const strings = ["topic", "event_id", "timestamp", "source"].map(
    name => `${JSON.stringify(name)}:${JSON.stringify(fields[name].value)}`);
  try {
    // The payload goes as it was written: its digits and the order of its keys are kept.
    const answer = await ask("/publish?results=true", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: `{${strings.join(",")},"payload":${payload}}`,
    });
    if (answer.ok) {
      const { results: [result], message } = await answer.json();
      show(`${answer.status} ${result.status}, seq ${result.seq}\n${message}`, result.status);
    } else {
      show(`${answer.status} ${await reason(answer)}`, "bad");
    }
  } catch (error) {
    show(`No answer (${error.message}). Sending it again is safe.`, "bad");
  }
}

form.addEventListener("submit", submitted => {
  submitted.preventDefault();
  publish();
});
byId("publish-new").addEventListener("click", fillIn);
fillIn();
byId("publish-open").addEventListener("click", () => byId("publish-drawer").showModal());
