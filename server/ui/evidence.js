// The evidence: what happened when, as marks on the timeline and as plain sentences.

import { make, setText } from "/ui/dom.js";
import { channel, clock, count, joined, span } from "/ui/format.js";

const MAX_LISTED = 300;

const WARNINGS = new Map([
  ["byte_order", "This sounds like audio with its bytes swapped"],
  ["law", "This sounds like µ-law read as A-law, or the other way round"],
]);

/** By kind: the colour of its mark, a word, and a sentence about one entry. */
export const KINDS = new Map([
  ["lost", { colour: "bad", word: "Lost", say: (one) => `${span(one.length_s)} of audio never arrived; it is silent here.` }],
  ["dropped", { colour: "bad", word: "Dropped", say: (one) => `${span(one.length_s)} arrived and could not be kept${because(one)}; it is silent here.` }],
  ["disconnected", { colour: "bad", word: "Disconnected", say: (one) => `The connection was down for ${span(one.length_s)}${because(one)}; it is silent here.` }],
  ["silence", { colour: "soft", word: "Silence", say: (one) => `${span(one.length_s)} without audio: ${one.cause || "the sender was silent or on hold"}.` }],
  ["masked", { colour: "warn", word: "Paused", say: (one) => `Recording was paused for ${span(one.length_s)}; what was said then was not kept.` }],
  ["late", { colour: "warn", word: "Late", say: () => "A packet came too late to be put in its place." }],
  ["change", { colour: "accent", word: "Change", say: (one) => `The sender changed: ${one.cause}.` }],
  ["digit", { colour: "accent", word: "Key", say: (one) => `Key ${one.cause} was pressed.` }],
  ["warning", { colour: "warn", word: "Warning", say: (one) => `${warning(one.cause)}, for ${span(one.length_s)}.` }],
]);

function because(one) {
  return one.cause ? ` (${one.cause})` : "";
}

function warning(cause) {
  const [name, ...sentence] = cause.split(": ");
  return (sentence.join(": ") || WARNINGS.get(name) || `The audio sounds wrong (${name})`).replace(/[.\s]+$/, "");
}

/** Return what is worth a mark: all that is not just audio that arrived. */
export function marksOf(recording) {
  return recording.evidence.filter((one) => KINDS.has(one.kind));
}

/** Show a line for each mark; `onSeek` gets the time of the one that is pressed. */
export function showEvidence(box, summary, recording, onSeek) {
  const marks = marksOf(recording);
  const names = recording.channel_map;
  box.replaceChildren(...marks.slice(0, MAX_LISTED).map((one) => line(one, names, onSeek)));
  const more = marks.length - Math.min(marks.length, MAX_LISTED) + recording.evidence_omitted;
  if (more) box.append(make("li", { class: "quiet" }, `${count(more, "more entry is", "more entries are")} in the JSON.`));
  setText(summary, marks.length ? summaryOf(marks) : nothing(recording));
}

/** Return how often each kind happened, and for how long in all. */
function summaryOf(marks) {
  const facts = [...KINDS].map(([kind, { word }]) => {
    const all = marks.filter((one) => one.kind === kind);
    const seconds = all.reduce((sum, one) => sum + one.length_s, 0);
    const lasts = seconds > 0 && kind !== "digit" ? ` (${span(seconds)})` : "";
    return all.length ? `${word} ${all.length}×${lasts}` : "";
  });
  return joined(...facts);
}

function nothing(recording) {
  if (recording.evidence.length) return "Nothing: all of it is audio that arrived.";
  return recording.has_audio ? "This recording is from before that was written down." : "No audio ever came.";
}

function line(one, names, onSeek) {
  const { word, say, colour } = KINDS.get(one.kind);
  const whose = one.channel === undefined || !names[one.channel] ? "" : channel(names[one.channel]);
  return make(
    "li",
    { class: "event", "data-colour": colour },
    make("button", { type: "button", class: "at", click: () => onSeek(one.start_s) }, clock(one.start_s, 1)),
    make("span", { class: "kind" }, word),
    make("span", { class: "what" }, say(one)),
    whose ? make("span", { class: "whose" }, whose) : null,
  );
}
