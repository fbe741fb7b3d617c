// Drawing on the timeline's canvas: lanes, waveforms, evidence, the ruler.

import { clock } from "/ui/format.js";

export const RULER = 26; // pixels
const STEPS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];
const LABEL = 84; // pixels that a label of the ruler needs
const DIGIT = 18; // pixels of a key's label
const FULL_SCALE = 32768;

/** Return the colours of the theme that is in use. */
export function coloursOf(element) {
  const styles = getComputedStyle(element);
  const colour = (name) => styles.getPropertyValue(`--${name}`).trim();
  const names = ["ink", "soft", "line", "accent", "raised", "good", "warn", "bad", "channel-0", "channel-1"];
  return Object.fromEntries(names.map((name) => [name, colour(name)]));
}

export function drawRuler(context, view, colours) {
  const step = STEPS.find((each) => (each / view.span) * view.width >= LABEL) ?? 7200;
  const digits = step < 0.1 ? 2 : step < 1 ? 1 : 0;
  context.fillStyle = colours.soft;
  context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
  context.textBaseline = "middle";
  for (let at = Math.ceil(view.start / step) * step; at <= view.end; at += step) {
    const x = Math.round(view.xOf(at));
    context.fillRect(x, RULER - 6, 1, 6);
    if (x < view.width - 40) context.fillText(clock(at, digits), x + 5, RULER / 2);
  }
}

/** Draw one channel between `top` and `top + height`. */
export function drawLane(context, view, store, { channel, top, height, colour, line, gain }) {
  const { rate } = store.whole;
  const scale = context.getTransform().a;
  const columns = Math.round(view.width * scale);
  const perColumn = (view.span * rate) / columns;
  const zoom = store.zoomFor(perColumn);
  const middle = top + height / 2;
  const reach = (height / 2 - 6) * gain;
  context.fillStyle = line;
  context.fillRect(0, Math.round(middle), view.width, 1);
  context.fillStyle = colour;
  context.beginPath();
  for (let column = 0; column < columns; column += 1) {
    const start = view.start * rate + column * perColumn;
    if (start >= store.whole.samples) break;
    const [least, greatest] = store.extremes(channel, start, start + perColumn, zoom);
    const up = Math.min(height / 2 - 2, (greatest / FULL_SCALE) * reach);
    const down = Math.min(height / 2 - 2, (-least / FULL_SCALE) * reach);
    if (up + down > 0) context.rect(column / scale, middle - up, 1 / scale, Math.max(1 / scale, up + down));
  }
  context.fill();
}

/** Draw one entry of the evidence over the lanes it is about. */
export function drawMark(context, view, mark, { top, height, colour }) {
  const from = view.xOf(mark.start_s);
  const to = view.xOf(mark.start_s + mark.length_s);
  if (to < -20 || from > view.width + 20) return;
  const left = Math.max(-2, from);
  const width = Math.max(2, Math.min(view.width + 2, to) - left);
  context.fillStyle = colour;
  if (mark.length_s > 0) {
    context.globalAlpha = 0.16;
    context.fillRect(left, top, width, height);
    context.globalAlpha = 1;
    context.fillRect(left, top, width, 3);
  } else {
    context.fillRect(Math.round(from), top, 1.5, height);
  }
}

/** Draw the keys that were pressed in a lane, as far as there is room for each. */
export function drawDigits(context, view, digits, { top, colour }) {
  let free = -Infinity;
  for (const digit of digits) {
    const x = Math.round(view.xOf(digit.start_s));
    if (x < free || x > view.width) continue;
    drawDigit(context, digit.cause, x, top, colour);
    free = x + DIGIT + 2;
  }
}

function drawDigit(context, digit, x, top, colour) {
  context.fillStyle = colour;
  context.beginPath();
  context.roundRect(x, top + 6, DIGIT, DIGIT, 4);
  context.fill();
  context.save();
  context.globalCompositeOperation = "destination-out";
  context.font = `600 12px ${getComputedStyle(document.body).fontFamily}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(digit.slice(0, 1), x + DIGIT / 2, top + 6.5 + DIGIT / 2);
  context.restore();
}

export function drawLineAt(context, x, height, colour, width = 1.5) {
  context.fillStyle = colour;
  context.fillRect(x - width / 2, 0, width, height);
}
