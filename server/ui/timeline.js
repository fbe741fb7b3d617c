// The timeline of a recording: what is drawn when, and what a pointer does to it.

import { make } from "/ui/dom.js";
import { clock } from "/ui/format.js";
import { KINDS } from "/ui/evidence.js";
import { drawSpectrum } from "/ui/spectrum.js";
import { coloursOf, drawDigits, drawLane, drawLineAt, drawMark, drawRuler, RULER } from "/ui/wave.js";

const CLICK_PX = 4; // what moves less is no drag
const WHEEL_ZOOM = 1.0015;
const LEAST_PEAK = 3000; // quieter audio is drawn no larger than as if it had this

export class Timeline {
  /** `onSeek` gets the seconds that were clicked. */
  constructor(box, { view, store, spectra, marks, isMuted, onSeek }) {
    Object.assign(this, { box, view, store, spectra, marks, isMuted, onSeek });
    this.isSpectrum = false;
    this.base = make("canvas", { "aria-hidden": "true" });
    this.top = make("canvas", { "aria-hidden": "true" });
    this.position = 0;
    this.hover = null;
    this.pointers = new Map();
    box.replaceChildren(this.base, this.top);
    new ResizeObserver(() => this.resize()).observe(box);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
    this.listen();
  }

  resize() {
    const { clientWidth, clientHeight } = this.box;
    this.view.width = clientWidth;
    for (const canvas of [this.base, this.top]) {
      canvas.width = clientWidth * devicePixelRatio;
      canvas.height = clientHeight * devicePixelRatio;
      canvas.getContext("2d").scale(devicePixelRatio, devicePixelRatio);
    }
    this.draw();
  }

  /** Draw everything anew in the next frame. */
  redraw() {
    if (this.isDue) return;
    this.isDue = true;
    requestAnimationFrame(() => {
      this.isDue = false;
      this.draw();
    });
  }

  draw() {
    const context = this.base.getContext("2d");
    const { clientWidth: width, clientHeight: height } = this.box;
    const { channels } = this.store.whole;
    this.colours = coloursOf(this.box);
    this.lane = (height - RULER) / channels;
    context.clearRect(0, 0, width, height);
    for (let channel = 0; channel < channels; channel += 1) this.drawChannel(context, channel);
    drawRuler(context, this.view, this.colours);
    this.drawTop();
  }

  drawChannel(context, channel) {
    const { colours, lane: height } = this;
    const top = RULER + channel * height;
    const colour = this.isMuted(channel) ? colours.line : colours[`channel-${channel % 2}`];
    const image = this.isSpectrum ? this.spectra.of(this.view) : null;
    if (image) drawSpectrum(context, this.view, image, { channel, top, height, colour });
    else drawLane(context, this.view, this.store, { channel, top, height, colour, line: colours.line, gain: this.gain() });
    context.fillStyle = colours.line;
    context.fillRect(0, Math.round(top), this.view.width, 1);
    const marks = this.marks.filter((mark) => (mark.channel ?? channel) === channel);
    for (const mark of marks) {
      drawMark(context, this.view, mark, { top, height, colour: colours[KINDS.get(mark.kind).colour] });
    }
    const digits = marks.filter((mark) => mark.kind === "digit");
    drawDigits(context, this.view, digits, { top, colour: colours.accent });
  }

  /** How much larger than life it is drawn, the same for all channels. */
  gain() {
    this.most ??= this.store.whole.pairs.reduce((most, each) => Math.max(most, Math.abs(each)), LEAST_PEAK);
    return 32768 / this.most;
  }

  /** Move the playhead. */
  setPosition(seconds) {
    this.position = seconds;
    this.drawTop();
  }

  drawTop() {
    if (!this.colours) return;
    const context = this.top.getContext("2d");
    const { clientWidth: width, clientHeight: height } = this.box;
    context.clearRect(0, 0, width, height);
    if (this.hover !== null) this.drawHover(context, height);
    const x = this.view.xOf(this.position);
    drawLineAt(context, x, height, this.colours.ink, 2);
    context.beginPath();
    context.arc(x, RULER, 5, 0, 2 * Math.PI);
    context.fill();
  }

  drawHover(context, height) {
    drawLineAt(context, this.hover, height, this.colours.soft, 1);
    const text = clock(this.view.secondsAt(this.hover), this.view.span < 600 ? 1 : 0);
    const width = context.measureText(text).width + 10;
    const left = Math.min(this.hover + 6, this.view.width - width);
    context.font = `12px ${getComputedStyle(document.body).fontFamily}`;
    context.fillStyle = this.colours.raised;
    context.fillRect(left, 2, width, RULER - 5);
    context.fillStyle = this.colours.ink;
    context.fillText(text, left + 5, 16);
  }

  listen() {
    const { box } = this;
    box.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    box.addEventListener("pointerdown", (event) => this.onDown(event));
    box.addEventListener("pointermove", (event) => this.onMove(event));
    box.addEventListener("pointerup", (event) => this.onUp(event));
    box.addEventListener("pointercancel", (event) => this.pointers.delete(event.pointerId));
    box.addEventListener("pointerleave", () => {
      this.hover = null;
      this.drawTop();
    });
  }

  xOf(event) {
    return event.clientX - this.box.getBoundingClientRect().left;
  }

  onWheel(event) {
    const isSideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey;
    // A plain wheel belongs to the page.
    if (!event.ctrlKey && !event.metaKey && !isSideways) return;
    event.preventDefault();
    const delta = event.deltaX || event.deltaY;
    if (isSideways) this.view.pan((delta / this.view.width) * this.view.span);
    else this.view.zoom(WHEEL_ZOOM ** event.deltaY, this.view.secondsAt(this.xOf(event)));
    this.redraw();
  }

  onDown(event) {
    if (event.button !== 0) return;
    this.box.setPointerCapture(event.pointerId);
    const x = this.xOf(event);
    this.pointers.set(event.pointerId, { x, from: x, hasMoved: false });
  }

  onMove(event) {
    const x = this.xOf(event);
    const held = this.pointers.get(event.pointerId);
    this.hover = event.pointerType === "mouse" ? x : null;
    if (held && this.pointers.size === 2) this.pinch(held, x);
    else if (held && (held.hasMoved || Math.abs(x - held.from) > CLICK_PX)) this.drag(held, x);
    else this.drawTop();
  }

  drag(held, x) {
    this.view.pan(((held.x - x) / this.view.width) * this.view.span);
    Object.assign(held, { x, hasMoved: true });
    this.redraw();
  }

  pinch(held, x) {
    const other = [...this.pointers.values()].find((each) => each !== held);
    const [before, after] = [Math.abs(held.x - other.x), Math.abs(x - other.x)];
    this.view.zoom(Math.max(before, 8) / Math.max(after, 8), this.view.secondsAt((x + other.x) / 2));
    Object.assign(held, { x, hasMoved: true });
    other.hasMoved = true;
    this.redraw();
  }

  onUp(event) {
    const held = this.pointers.get(event.pointerId);
    this.pointers.delete(event.pointerId);
    if (held && !held.hasMoved) this.onSeek(this.view.secondsAt(this.xOf(event)));
  }
}
