// Keeps the page up to date: taps every second, recordings when a tap has ended.

import * as format from "/ui/format.js";
import {
  audioUrl,
  byId,
  markPlaying,
  showHealth,
  showLive,
  showNotice,
  showRecordings,
  showWhyEmpty,
} from "/ui/view.js";

const TAPS_EVERY_MS = 1000;
const RECORDINGS_EVERY = 5; // rounds, if no tap has ended meanwhile
const REQUEST_TIMEOUT_MS = 8000;
const SEARCH_DELAY_MS = 200;
const ENDED = new Set(["finished", "failed"]);

let recordings = [];
let olderCursor = null;
let search = "";
let round = 0;
let liveIds = "";
let playing = null;

async function getJson(path) {
  const response = await fetch(path, { signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
  if (response.status === 401) location.assign("/login");
  const document = await response.json();
  // Not being ready is an answer too, and the body says why.
  if (!response.ok && !("ready" in document)) throw new Error(document.detail);
  return document;
}

async function updateLive() {
  const taps = await getJson("/api/v1/taps");
  const live = taps.items.filter((tap) => !ENDED.has(tap.state));
  showLive(live, taps.live);
  const ids = live.map((tap) => tap.control_id).join(" ");
  const changed = ids !== liveIds;
  liveIds = ids;
  return changed;
}

function recordingsPath(cursor) {
  const query = new URLSearchParams({ limit: "50" });
  if (search) query.set("q", search);
  if (cursor) query.set("cursor", cursor);
  return `/api/v1/recordings?${query}`;
}

async function updateRecordings() {
  const asked = search;
  const page = await getJson(recordingsPath(null));
  if (asked !== search) return;
  const oldest = page.items.at(-1)?.id ?? "";
  // The page says everything about its own span; what was fetched below it stays.
  const older = page.next_cursor ? recordings.filter((one) => one.id < oldest) : [];
  if (older.length === 0) olderCursor = page.next_cursor;
  show([...page.items, ...older]);
}

async function loadOlder() {
  const asked = search;
  const page = await getJson(recordingsPath(olderCursor));
  if (asked !== search) return;
  olderCursor = page.next_cursor;
  const known = new Set(recordings.map((one) => one.id));
  show([...recordings, ...page.items.filter((one) => !known.has(one.id))]);
}

function show(list) {
  recordings = list;
  showRecordings(recordings, play);
  showWhyEmpty({ isEmpty: recordings.length === 0, search });
  byId("older").hidden = olderCursor === null;
  markPlaying(audio.paused ? null : playing);
}

async function update() {
  const ended = await updateLive();
  if (ended || round % RECORDINGS_EVERY === 0) {
    await updateRecordings();
    showHealth(await getJson("/readyz"));
  }
  round += 1;
}

async function keepUpdating() {
  try {
    if (!document.hidden) await update();
    showNotice("");
  } catch (error) {
    const why = error instanceof TypeError ? "The server does not answer" : error.message;
    showNotice(`${why} Trying again.`.replace(/([^.]) Trying/, "$1. Trying"));
  }
  setTimeout(keepUpdating, TAPS_EVERY_MS);
}

async function attempt(action) {
  try {
    await action();
  } catch (error) {
    showNotice(error.message);
  }
}

const audio = byId("audio");

function play(recording) {
  if (playing === recording.id) {
    if (audio.paused) audio.play();
    else audio.pause();
    return;
  }
  playing = recording.id;
  byId("player-title").textContent =
    `${format.party(recording.from)} → ${format.party(recording.to)}`;
  byId("player-sub").textContent =
    `${format.day(recording.started_at)} ${format.time(recording.started_at)}`;
  byId("player").hidden = false;
  audio.src = audioUrl(recording);
  audio.play().catch(() => {});
}

audio.addEventListener("play", () => markPlaying(playing));
audio.addEventListener("pause", () => markPlaying(null));
audio.addEventListener("error", () => {
  if (playing) showNotice("This recording cannot be played; it may have been deleted.");
});

byId("player-close").addEventListener("click", () => {
  playing = null;
  audio.pause();
  audio.removeAttribute("src");
  audio.load();
  byId("player").hidden = true;
});

byId("older").addEventListener("click", () => attempt(loadOlder));

let searchTimer = 0;
byId("search").addEventListener("input", (event) => {
  search = event.target.value.trim();
  clearTimeout(searchTimer);
  searchTimer = setTimeout(() => {
    recordings = [];
    attempt(updateRecordings);
  }, SEARCH_DELAY_MS);
});

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) round = 0;
});

keepUpdating();
