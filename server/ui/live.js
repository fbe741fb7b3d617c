// The taps that are live, as rows that are kept while they last.

import { byId, make, setText } from "/ui/dom.js";
import * as format from "/ui/format.js";

const rows = new Map();

export function showLive(taps, count) {
  for (const [id, row] of rows) {
    if (taps.some((tap) => tap.control_id === id)) continue;
    row.remove();
    rows.delete(id);
  }
  const list = byId("live");
  taps.forEach((tap, at) => {
    const row = rows.get(tap.control_id) ?? makeRow();
    rows.set(tap.control_id, row);
    if (list.children[at] !== row) list.insertBefore(row, list.children[at] ?? null);
    update(row, tap);
  });
  setText(byId("live-count"), count ? String(count) : "");
  byId("live-empty").hidden = taps.length > 0;
}

function makeRow() {
  return make(
    "li",
    { class: "row live" },
    make("span", { class: "dot", "aria-hidden": "true" }),
    make("div", { class: "who" }, make("p", { class: "names" }), make("p", { class: "facts" })),
    make("div", { class: "verdict" }, make("p", { class: "state" }), make("p", { class: "reason" })),
    make("p", { class: "length" }),
  );
}

function update(row, tap) {
  const part = (name) => row.querySelector(`.${name}`);
  const [word, tone] = format.tapState(tap.state);
  const codec = tap.codec && `${tap.codec} ${tap.sample_rate / 1000} kHz`;
  row.dataset.tone = tone;
  setText(part("names"), `${format.party(tap.from)} → ${format.party(tap.to)}`);
  setText(part("facts"), format.joined(format.direction(tap.direction), format.transport(tap.transport), codec));
  setText(part("state"), word);
  setText(part("reason"), tap.reason || (tap.packets.received ? format.packets(tap.packets) : ""));
  setText(part("length"), tap.started_at ? format.length(tap.duration_s) : "");
}
