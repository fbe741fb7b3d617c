// The page of one recording: its parts put together.

import { Annotations } from "/ui/annotations.js";
import { downloadPath, getJson, recordingPath } from "/ui/api.js";
import { showDetails } from "/ui/details.js";
import { byId, setText } from "/ui/dom.js";
import { marksOf, showEvidence } from "/ui/evidence.js";
import * as format from "/ui/format.js";
import { attempt, startFrame } from "/ui/frame.js";
import { Listening } from "/ui/listening.js";
import { PeakStore } from "/ui/peaks.js";

const MOST_LANES = 4; // that get their full height

const id = decodeURIComponent(location.pathname.split("/").at(-1));

function showHead(recording) {
  const title = `${format.party(recording.from)} → ${format.party(recording.to)}`;
  const [word, tone] = format.recordingState(recording.state);
  document.title = `${title} · Tapdeck`;
  setText(byId("title"), title);
  setText(
    byId("sub"),
    format.joined(
      `${format.day(recording.started_at)} ${format.time(recording.started_at)}`,
      recording.has_audio && format.length(recording.duration_s),
      format.direction(recording.direction),
      format.transport(recording.transport),
    ),
  );
  byId("verdict").dataset.tone = tone;
  setText(byId("state"), word);
  setText(byId("reason"), recording.verdict.reason);
}

function showDownloads(recording) {
  const [wav, json] = [byId("download-wav"), byId("download-json")];
  if (recording.has_audio) wav.href = downloadPath(id);
  else wav.remove();
  wav.download = `${id}.wav`;
  json.href = recordingPath(id);
  json.download = `${id}.json`;
  byId("actions").hidden = false;
}

async function showAudio(recording) {
  const store = new PeakStore(id, () => listening?.redraw());
  let listening = null;
  // Its room is there before its content, so that nothing below has to move.
  byId("deck").dataset.channels = Math.min(recording.channels, MOST_LANES);
  byId("deck").hidden = false;
  await store.open();
  listening = new Listening(recording, store, marksOf(recording));
  return listening;
}

async function start() {
  const recording = await getJson(recordingPath(id));
  showHead(recording);
  showDownloads(recording);
  showDetails(byId("details"), recording);
  new Annotations(recording);
  byId("recording").hidden = false;
  let listening = null;
  if (recording.has_audio) {
    const isFine = await attempt(async () => { listening = await showAudio(recording); });
    byId("deck").hidden = !isFine;
  }
  showEvidence(byId("evidence"), byId("evidence-none"), recording, (seconds) => listening?.seek(seconds));
}

startFrame();
try {
  await start();
} catch (error) {
  const isGone = error.status === 404;
  setText(byId("title"), isGone ? "There is no such recording" : "This recording cannot be shown");
  setText(byId("sub"), isGone ? "It may have been deleted, or the address was cut short. All that there are is under Recordings." : error.message);
}
