// Which part of a recording a timeline shows. Pure: seconds and pixels in and out.

const LEAST_S = 0.25;

export class Viewport {
  constructor(duration) {
    this.duration = Math.max(duration, 0.001);
    this.width = 1;
    this.fit();
  }

  fit() {
    this.start = 0;
    this.end = this.duration;
  }

  get span() {
    return this.end - this.start;
  }

  get isWhole() {
    return this.span >= this.duration;
  }

  xOf(seconds) {
    return ((seconds - this.start) / this.span) * this.width;
  }

  secondsAt(x) {
    const seconds = this.start + (x / this.width) * this.span;
    return Math.min(this.duration, Math.max(0, seconds));
  }

  /** Show a factor more or less, with one position where it was. */
  zoom(factor, around) {
    const span = Math.min(this.duration, Math.max(Math.min(LEAST_S, this.duration), this.span * factor));
    const share = (around - this.start) / this.span;
    this.moveTo(around - share * span, span);
  }

  pan(seconds) {
    this.moveTo(this.start + seconds, this.span);
  }

  /** Show a position, if it is not seen already; with most of what follows it. */
  reveal(seconds) {
    if (seconds >= this.start && seconds <= this.end) return false;
    this.moveTo(seconds - 0.1 * this.span, this.span);
    return true;
  }

  moveTo(start, span) {
    this.start = Math.min(Math.max(0, start), this.duration - span);
    this.end = this.start + span;
  }
}
