// The first page: the taps that are live, and what was recorded last.

import { getJson } from "/ui/api.js";
import { byId } from "/ui/dom.js";
import { attempt, repeat, showNotice, startFrame } from "/ui/frame.js";
import { showLive } from "/ui/live.js";
import { markPlaying, play } from "/ui/player.js";
import { makeRow, slim } from "/ui/row.js";

const TAPS_EVERY_MS = 1000;
const LATEST_EVERY = 5; // rounds, if no tap has ended meanwhile
const LATEST = 8;
const ENDED = new Set(["finished", "failed"]);

let liveIds = "";
let round = 0;
let rows = new Map();

/** Show the live taps; tell whether others are live than before. */
async function updateLive() {
  const taps = await getJson("/api/v1/taps");
  const live = taps.items.filter((tap) => !ENDED.has(tap.state));
  showLive(live, taps.live);
  const ids = live.map((tap) => tap.control_id).join(" ");
  const hasChanged = ids !== liveIds;
  liveIds = ids;
  return hasChanged;
}

async function updateLatest() {
  const page = await getJson(`/api/v1/recordings?limit=${LATEST}`);
  const before = rows;
  rows = new Map(page.items.map((one) => [one.id, before.get(one.id) ?? makeRow(slim(one), play)]));
  if ([...rows.keys()].join() !== [...before.keys()].join()) byId("latest").replaceChildren(...rows.values());
  rows.forEach(markPlaying);
  byId("latest-section").hidden = rows.size === 0;
  byId("first-steps").hidden = rows.size > 0;
}

async function update() {
  const isFine = await attempt(async () => {
    const hasChanged = await updateLive();
    if (hasChanged || round % LATEST_EVERY === 0) await updateLatest();
    round += 1;
  });
  if (isFine) showNotice("");
}

startFrame();
repeat(update, TAPS_EVERY_MS);
