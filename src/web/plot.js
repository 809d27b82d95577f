// Lines over the last minutes or the last hour, as SVG.
import { byId, svg } from "./text.js";

const PLOTTED_MILLISECONDS = 300000;
const HOUR_MILLISECONDS = 3600000;
/** Above the highest line, for its label, and below the lowest, for the times. */
const ABOVE = 16;
const BELOW = 18;

/** One object for each round: `at`, and a number under each name that was known then. */
const samples = [];

/** Begins a round. What is learned in it is set on the answer. */
export function sample() {
  const made = { at: performance.now() };
  samples.push(made);
  while (samples[0].at < made.at - PLOTTED_MILLISECONDS) samples.shift();
  return made;
}

/** The next round number, so that a plot's height seldom changes and half of it is round as well. */
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 3, 4, 5, 6, 8].map(step => step * power).find(step => step >= value) ?? 10 * power;
}

/** The points of one name in runs; a round in which there was no number ends one. */
function runs(rounds, name, x, y) {
  const found = [[]];
  for (const one of rounds) {
    if (Number.isFinite(one[name])) found.at(-1).push([x(one.at).toFixed(1), y(one[name]).toFixed(1)]);
    else if (found.at(-1).length > 0) found.push([]);
  }
  return found.filter(run => run.length > 0);
}

/** Draws the names over the last minutes, the first with its area filled. The top is `least` or more; `label` writes a value. */
export function plot(id, names, least, label) {
  draw(id, { rounds: samples, span: PLOTTED_MILLISECONDS, start: "5 min ago" }, names, least, label);
}

/** The same over the last hour, of which `rounds` has the values with `at`, milliseconds before now. */
export function plotHour(id, rounds, names, least, label) {
  draw(id, { rounds, span: HOUR_MILLISECONDS, start: "1 h ago" }, names, least, label);
}

function draw(id, { rounds, span, start }, names, least, label) {
  const target = byId(id);
  const [width, height] = [target.clientWidth || 600, target.clientHeight || 170];
  const bottom = height - BELOW;
  const now = performance.now();
  const values = names.flatMap(name => rounds.map(one => one[name])).filter(Number.isFinite);
  const most = ceiling(Math.max(least, ...values));
  const x = at => width - (now - at) * (width / span);
  const y = value => bottom - (value / most) * (bottom - ABOVE);
  const parts = [];
  for (const value of [0, most / 2, most]) {
    const level = y(value);
    parts.push(svg("line", { x1: 0, x2: width, y1: level, y2: level }));
    if (value > 0) parts.push(svg("text", { x: 0, y: level - 4 }, label(value)));
  }
  parts.push(svg("text", { x: 0, y: height - 3 }, start));
  parts.push(svg("text", { x: width, y: height - 3, "text-anchor": "end" }, "now"));
  names.forEach((name, order) => {
    for (const run of runs(rounds, name, x, y)) {
      const line = run.map(point => point.join(" ")).join("L");
      if (order === 0) {
        const area = `M${run[0][0]} ${bottom}L${line}L${run.at(-1)[0]} ${bottom}Z`;
        parts.push(svg("path", { class: `area ${name}`, d: area }));
      }
      if (run.length > 1) parts.push(svg("path", { class: name, d: `M${line}` }));
      else parts.push(svg("circle", { class: name, cx: run[0][0], cy: run[0][1], r: 2 }));
    }
  });
  target.setAttribute("viewBox", `0 0 ${width} ${height}`);
  target.replaceChildren(...parts);
}
