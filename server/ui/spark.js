// Small waveforms in lists: the first channel above the middle, the second below.

import { extremesOf, getPeaks } from "/ui/peaks.js";

const AT_ONCE = 4;
const MAX_KEPT = 400;
const LEAST_SCALE = 2000; // so that noise does not look like speech

const kept = new Map();
const waiting = [];
let underway = 0;

/** Draw a recording's waveform when it comes, if the canvas is still shown. */
export function drawSpark(canvas, id) {
  const found = kept.get(id);
  if (found) requestAnimationFrame(() => paint(canvas, found));
  else {
    waiting.push({ canvas, id });
    next();
  }
}

async function next() {
  while (underway < AT_ONCE && waiting.length) {
    const { canvas, id } = waiting.pop();
    if (canvas.isConnected) load(canvas, id);
  }
}

async function load(canvas, id) {
  underway += 1;
  try {
    const part = kept.get(id) ?? (await getPeaks(id));
    kept.set(id, part);
    if (kept.size > MAX_KEPT) kept.delete(kept.keys().next().value);
    paint(canvas, part);
  } catch {
    // A row says all that matters without it.
  } finally {
    underway -= 1;
    next();
  }
}

function paint(canvas, part) {
  const scale = devicePixelRatio;
  const [width, height] = [canvas.clientWidth * scale, canvas.clientHeight * scale];
  if (!width || !height) return;
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  context.fillStyle = getComputedStyle(canvas).color;
  const buckets = part.pairs.length / 2 / part.channels;
  const columns = Math.floor(width / (3 * scale));
  const levels = [];
  for (let column = 0; column < columns; column += 1) {
    const first = Math.floor((column * buckets) / columns);
    const last = Math.max(first + 1, Math.floor(((column + 1) * buckets) / columns));
    levels.push(ends(part, first, last));
  }
  const most = Math.max(LEAST_SCALE, ...levels.flat());
  levels.forEach(([up, down], column) => {
    const top = Math.max(scale / 2, (up / most) * (height / 2));
    const bottom = Math.max(scale / 2, (down / most) * (height / 2));
    context.fillRect(column * 3 * scale, height / 2 - top, 2 * scale, top + bottom);
  });
}

function ends(part, first, last) {
  const [least, greatest] = extremesOf(part, 0, first, last);
  if (part.channels === 1) return [Math.abs(greatest), Math.abs(least)];
  const [least2, greatest2] = extremesOf(part, 1, first, last);
  return [Math.max(-least, greatest), Math.max(-least2, greatest2)];
}
