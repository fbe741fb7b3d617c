// The page of all recordings: newest first, as many as one scrolls through.

import { getJson } from "/ui/api.js";
import { byId, debounced, setText } from "/ui/dom.js";
import { addressOf, apiPathOf, areNone, filtersOfAddress, filtersOfForm, showFilters } from "/ui/filters.js";
import * as format from "/ui/format.js";
import { attempt, repeat, showNotice, startFrame } from "/ui/frame.js";
import { markPlaying, play } from "/ui/player.js";
import { makeRow, slim } from "/ui/row.js";
import { VirtualList } from "/ui/virtual.js";

const PAGE = 100;
const UPDATE_EVERY_MS = 4000;
const FULL_EVERY = 3; // updates
const TYPING_MS = 120;

let filters = filtersOfAddress();
let items = [];
let cursor = null;
let asking = new AbortController();
let round = 0;
let isLoadingOlder = false;
let hasFailed = false;

const list = new VirtualList(byId("recordings"), {
  makeRow: (one) => makeRow(one, play),
  headingOf: (one) => format.day(one.started_at),
  onRow: markPlaying,
  onNearEnd: loadOlder,
});

/** Look whether there is a newer one; now and then, whether anything else has changed. */
async function update() {
  const { signal } = asking;
  round += 1;
  if (items.length && round % FULL_EVERY) {
    const newest = await getJson(apiPathOf(filters, null, 1), { signal });
    if (newest.items[0]?.id === items[0].id) return;
  }
  await updateAll(signal);
}

/** Ask for the newest, and keep what was fetched below them. */
async function updateAll(signal) {
  const page = await getJson(apiPathOf(filters, null, PAGE), { signal });
  const oldest = page.items.at(-1)?.id ?? "";
  // The page says everything about its own span.
  const older = page.next_cursor ? items.filter((one) => one.id < oldest) : [];
  if (older.length === 0) cursor = page.next_cursor;
  show([...page.items.map(known), ...older]);
}

/** Return the item that is shown for a recording, if nothing about it has changed. */
function known(recording) {
  const fresh = slim(recording);
  const before = items.find((one) => one.id === fresh.id);
  return JSON.stringify(before) === JSON.stringify(fresh) ? before : fresh;
}

async function loadOlder() {
  if (isLoadingOlder || cursor === null) return;
  isLoadingOlder = true;
  const { signal } = asking;
  const isFine = await attempt(async () => {
    const page = await getJson(apiPathOf(filters, cursor, PAGE), { signal });
    cursor = page.next_cursor;
    const ids = new Set(items.map((one) => one.id));
    show([...items, ...page.items.filter((one) => !ids.has(one.id)).map(slim)]);
  });
  // Where the server is away, scrolling does not ask it again and again.
  setTimeout(() => { isLoadingOlder = false; }, isFine ? 0 : UPDATE_EVERY_MS);
  if (isFine) setTimeout(() => list.schedule(), 0);
}

function show(all) {
  items = all;
  list.setItems(items);
  const isEmpty = items.length === 0;
  byId("first-steps").hidden = !isEmpty || !areNone(filters);
  byId("no-match").hidden = !isEmpty || areNone(filters);
  byId("recordings").setAttribute("aria-busy", "false");
  const more = cursor === null ? "" : "+";
  setText(byId("count"), isEmpty ? "" : `${items.length.toLocaleString("en")}${more}`);
}

/** Show what other filters leave. */
function narrow(wanted) {
  filters = wanted;
  showFilters(filters);
  asking.abort();
  asking = new AbortController();
  attempt(async () => {
    const page = await getJson(apiPathOf(filters, null, PAGE), { signal: asking.signal });
    cursor = page.next_cursor;
    scrollTo(0, Math.min(scrollY, byId("recordings").offsetTop));
    show(page.items.map(slim));
    showNotice("");
  });
}

function onTyping() {
  const wanted = filtersOfForm();
  history.replaceState(null, "", addressOf(wanted));
  narrow(wanted);
}

function onChoice() {
  const wanted = filtersOfForm();
  history.pushState(null, "", addressOf(wanted));
  narrow(wanted);
}

byId("filter-q").addEventListener("input", debounced(onTyping, TYPING_MS));
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("filters").addEventListener("change", (event) => {
  if (event.target.id !== "filter-q") onChoice();
});
byId("filters-clear").addEventListener("click", () => {
  history.pushState(null, "", "/recordings");
  narrow(filtersOfAddress());
  byId("filter-q").focus();
});
byId("filters-more").addEventListener("click", () => {
  const isOpen = byId("filters").classList.toggle("open");
  byId("filters-more").setAttribute("aria-expanded", isOpen);
});
addEventListener("popstate", () => narrow(filtersOfAddress()));
addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.closest("input, select, textarea")) return;
  event.preventDefault();
  byId("filter-q").focus();
});

showFilters(filters);
startFrame();
repeat(async () => {
  const isFine = await attempt(update);
  // Bad news of before is over; what a button said stays until then.
  if (isFine && hasFailed) showNotice("");
  hasFailed = !isFine;
}, UPDATE_EVERY_MS);
