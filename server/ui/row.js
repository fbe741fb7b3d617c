// One recording as a row of a list.

import { downloadPath, pagePath, taggedPath } from "/ui/api.js";
import { icon, make } from "/ui/dom.js";
import * as format from "/ui/format.js";
import { drawSpark } from "/ui/spark.js";

/** Keep of a recording what its row shows: its evidence may be long. */
export function slim(recording) {
  const { id, from, to, started_at, direction, transport, codec, tags } = recording;
  const { duration_s, state, has_audio, verdict, call_id } = recording;
  const reason = verdict.reason;
  return { id, from, to, started_at, direction, transport, codec, tags, duration_s, state, has_audio, reason, call_id };
}

export const titleOf = (one) => `${format.party(one.from)} → ${format.party(one.to)}`;

/** Return the row; `onPlay` gets the recording when its button is pressed. */
export function makeRow(one, onPlay) {
  const [word, tone] = format.recordingState(one.state);
  const name = `${format.party(one.from)} to ${format.party(one.to)}`;
  return make(
    "article",
    { class: "row recording", "data-id": one.id, "data-tone": tone, "aria-label": name },
    playButton(one, name, onPlay),
    who(one),
    wave(one),
    make(
      "div",
      { class: "verdict" },
      make("p", { class: "state" }, word),
      make("p", { class: "reason", title: one.reason }, one.reason),
    ),
    make("p", { class: "length" }, one.has_audio ? format.length(one.duration_s) : ""),
    downloadLink(one, name),
  );
}

function who(one) {
  const facts = [
    format.time(one.started_at),
    format.direction(one.direction),
    format.transport(one.transport),
    one.codec,
  ];
  return make(
    "div",
    { class: "who" },
    make(
      "a",
      { class: "names", href: pagePath(one.id), title: titleOf(one) },
      make("span", {}, format.party(one.from)),
      make("span", { class: "arrow" }, " → "),
      make("span", {}, format.party(one.to)),
    ),
    make(
      "div",
      { class: "facts-line" },
      make("p", { class: "facts", title: `Call ${one.call_id}\nRecording ${one.id}` }, format.joined(...facts)),
      ...one.tags.map((tag) => make("a", { class: "tag", href: taggedPath(tag) }, tag)),
    ),
  );
}

function playButton(one, name, onPlay) {
  if (!one.has_audio) return make("span", {});
  const label = `Play ${name}`;
  const button = make("button", { type: "button", class: "play", "aria-label": label }, icon("play"), icon("pause"));
  button.addEventListener("click", () => onPlay(one));
  return button;
}

function wave(one) {
  const canvas = make("canvas", { class: "spark", "aria-hidden": "true" });
  if (one.has_audio) drawSparkWhenShown(canvas, one.id);
  return canvas;
}

function drawSparkWhenShown(canvas, id) {
  // The row is not in the page yet.
  requestAnimationFrame(() => drawSpark(canvas, id));
}

function downloadLink(one, name) {
  if (!one.has_audio) return make("span", {});
  const link = { class: "plain download", href: downloadPath(one.id), download: `${one.id}.wav` };
  return make("a", { ...link, "aria-label": `Download ${name}` }, icon("download"));
}
