// The page's elements. Whatever came from a call is set as text, never as markup.

import * as format from "/ui/format.js";

export const byId = (id) => document.getElementById(id);

function fromTemplate(id) {
  return byId(id).content.firstElementChild.cloneNode(true);
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function part(row, name) {
  return row.querySelector(`.${name}`);
}

function setNames(row, from, to) {
  const names = part(row, "names");
  const title = `${format.party(from)} → ${format.party(to)}`;
  if (names.title === title) return;
  names.title = title;
  const arrow = document.createElement("span");
  arrow.className = "arrow";
  arrow.textContent = " → ";
  names.replaceChildren(format.party(from), arrow, format.party(to));
}

function setState(row, [word, tone], reason) {
  row.dataset.tone = tone;
  setText(part(row, "state"), word);
  setText(part(row, "reason"), reason);
  part(row, "reason").title = reason;
}

const joined = (...facts) => facts.filter(Boolean).join(" · ");

const liveRows = new Map();

export function showLive(taps, count) {
  for (const id of liveRows.keys()) {
    if (taps.some((tap) => tap.control_id === id)) continue;
    liveRows.get(id).remove();
    liveRows.delete(id);
  }
  taps.forEach((tap, at) => {
    let row = liveRows.get(tap.control_id);
    if (!row) {
      row = fromTemplate("live-row");
      liveRows.set(tap.control_id, row);
    }
    const list = byId("live");
    if (list.children[at] !== row) list.insertBefore(row, list.children[at] ?? null);
    updateLive(row, tap);
  });
  setText(byId("live-count"), count ? String(count) : "");
  byId("live-empty").hidden = taps.length > 0;
}

function updateLive(row, tap) {
  setNames(row, tap.from, tap.to);
  const codec = tap.codec && `${tap.codec} ${tap.sample_rate / 1000} kHz`;
  setText(
    part(row, "facts"),
    joined(format.direction(tap.direction), format.transport(tap.transport), codec),
  );
  const detail = tap.reason || (tap.packets.received ? format.packets(tap.packets) : "");
  setState(row, format.tapState(tap.state), detail);
  setText(part(row, "length"), tap.started_at ? format.length(tap.duration_s) : "");
}

function makeRecordingRow(recording, onPlay) {
  const row = fromTemplate("recording-row");
  const name = `${format.party(recording.from)} to ${format.party(recording.to)}`;
  row.dataset.id = recording.id;
  setNames(row, recording.from, recording.to);
  setText(
    part(row, "facts"),
    joined(
      format.time(recording.started_at),
      format.direction(recording.direction),
      format.transport(recording.transport),
      recording.codec,
    ),
  );
  part(row, "facts").title = `Call ${recording.call_id}\nRecording ${recording.id}`;
  setState(row, format.recordingState(recording.state), recording.verdict.reason);
  setText(part(row, "length"), recording.has_audio ? format.length(recording.duration_s) : "");
  const [play, download] = [part(row, "play"), part(row, "download")];
  play.disabled = !recording.has_audio;
  play.setAttribute("aria-label", `Play ${name}`);
  play.addEventListener("click", () => onPlay(recording));
  if (recording.has_audio) {
    download.href = audioUrl(recording);
    download.download = `${recording.id}.wav`;
    download.setAttribute("aria-label", `Download ${name}`);
  } else {
    download.remove();
  }
  return row;
}

export const audioUrl = (recording) =>
  `/api/v1/recordings/${encodeURIComponent(recording.id)}/audio`;

let recordingRows = new Map();
let shownOrder = "";

export function showRecordings(recordings, onPlay) {
  const groups = new Map();
  for (const recording of recordings) {
    const day = format.day(recording.started_at);
    groups.set(day, [...(groups.get(day) ?? []), recording]);
  }
  const order = JSON.stringify([...groups].map(([day, all]) => [day, all.map((one) => one.id)]));
  if (order === shownOrder) return;
  shownOrder = order;
  const rows = new Map();
  for (const recording of recordings) {
    rows.set(recording.id, recordingRows.get(recording.id) ?? makeRecordingRow(recording, onPlay));
  }
  recordingRows = rows;
  const focused = document.activeElement;
  byId("recordings").replaceChildren(...[...groups].flatMap(([day, all]) => makeDay(day, all)));
  if (focused?.isConnected) focused.focus({ preventScroll: true });
}

function makeDay(day, recordings) {
  const heading = document.createElement("h3");
  heading.className = "day";
  heading.textContent = day;
  const list = document.createElement("ul");
  list.className = "list";
  list.append(...recordings.map((recording) => recordingRows.get(recording.id)));
  return [heading, list];
}

export function markPlaying(id) {
  for (const [rowId, row] of recordingRows) {
    const playing = rowId === id;
    row.classList.toggle("playing", playing);
    const label = part(row, "play").getAttribute("aria-label");
    part(row, "play").setAttribute(
      "aria-label",
      label.replace(/^(Play|Pause)/, playing ? "Pause" : "Play"),
    );
  }
}

export function showWhyEmpty({ isEmpty, search }) {
  byId("first-steps").hidden = !isEmpty || search !== "";
  byId("no-match").hidden = !isEmpty || search === "";
  setText(byId("no-match"), search && isEmpty ? `Nothing matches “${search}”.` : "");
}

export function showHealth({ ready, reasons, relay }) {
  const health = byId("health");
  health.dataset.ready = String(ready);
  setText(health, ready ? joined("Ready", relay && `RELAY ${relay}`) : reasons.join(" · "));
}

export function showNotice(text) {
  setText(byId("notice"), text);
  byId("notice").hidden = text === "";
}
