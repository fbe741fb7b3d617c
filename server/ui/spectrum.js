// The spectrum of what is seen: the audio of the view fetched, decoded and transformed.

import { ask, audioPath } from "/ui/api.js";
import { debounced, make } from "/ui/dom.js";
import { magnitudes } from "/ui/fourier.js";

export const MOST_S = 120; // of audio that is fetched for one view
const HEAD_BYTES = 512;
const SETTLED_MS = 150;
const FLOOR_DB = -85;
const TOP_DB = -15;

export class Spectra {
  /** `onArrival` is called when there is another one to draw. */
  constructor(id, { rate, samples, channels }, onArrival) {
    Object.assign(this, { id, rate, samples, channels, onArrival });
    // Windows of 32 ms: a voice's overtones apart, its syllables too.
    this.size = 2 ** Math.round(Math.log2(rate * 0.032));
    this.image = null;
    this.wanted = "";
    this.load = debounced((start, end, columns) => this.make(start, end, columns), SETTLED_MS);
  }

  /** Return what can be drawn of this view, if anything; something better may come. */
  of(view) {
    if (view.span > MOST_S) return null;
    const key = `${view.start} ${view.end} ${view.width}`;
    if (key !== this.wanted) {
      this.wanted = key;
      this.load(view.start, view.end, Math.round(view.width));
    }
    return this.image;
  }

  async make(start, end, columns) {
    try {
      const buffer = await this.decode(start, end);
      const levels = Array.from({ length: this.channels }, (_, channel) =>
        magnitudes(buffer.getChannelData(channel), this.size, columns));
      this.image = { start, end, levels, canvases: [] };
      this.onArrival();
    } catch {
      // The waveform stays; another view asks again.
      this.wanted = "";
    }
  }

  async decode(start, end) {
    this.head ??= parseHead(await this.bytes(0, HEAD_BYTES));
    const { step, audioAt } = this.head;
    const first = Math.floor(start * this.rate);
    const last = Math.min(this.samples, Math.ceil(end * this.rate));
    const data = await this.bytes(audioAt + first * step, audioAt + last * step);
    const context = new OfflineAudioContext(this.channels, last - first, this.rate);
    return context.decodeAudioData(wavOf(this.head.format, data));
  }

  async bytes(from, to) {
    const response = await ask(audioPath(this.id), { headers: { Range: `bytes=${from}-${to - 1}` } });
    return response.arrayBuffer();
  }
}

/** Return {step, audioAt, format} of a WAV, RIFF or RF64, from its first bytes. */
function parseHead(buffer) {
  const view = new DataView(buffer);
  const nameAt = (at) => String.fromCharCode(...new Uint8Array(buffer, at, 4));
  let [at, format] = [12, null];
  while (nameAt(at) !== "data") {
    const length = view.getUint32(at + 4, true);
    if (nameAt(at) === "fmt ") format = buffer.slice(at + 8, at + 8 + length);
    at += 8 + length + (length % 2);
  }
  return { step: new DataView(format).getUint16(12, true), audioAt: at + 8, format };
}

/** Return a WAV of its own of some audio of this format. */
function wavOf(format, data) {
  const wav = new Uint8Array(28 + format.byteLength + data.byteLength);
  const view = new DataView(wav.buffer);
  const put = (at, name) => wav.set([...name].map((each) => each.charCodeAt(0)), at);
  put(0, "RIFF");
  view.setUint32(4, wav.length - 8, true);
  put(8, "WAVEfmt ");
  view.setUint32(16, format.byteLength, true);
  wav.set(new Uint8Array(format), 20);
  put(20 + format.byteLength, "data");
  view.setUint32(24 + format.byteLength, data.byteLength, true);
  wav.set(new Uint8Array(data), 28 + format.byteLength);
  return wav.buffer;
}

/** Draw a channel's spectrum where its time is; loud is the full colour. */
export function drawSpectrum(context, view, image, { channel, top, height, colour }) {
  const kept = image.canvases[channel];
  if (kept?.colour !== colour) {
    image.canvases[channel] = { colour, canvas: paint(image.levels[channel], colour) };
  }
  const { canvas } = image.canvases[channel];
  const left = view.xOf(image.start);
  context.drawImage(canvas, left, top + 1, view.xOf(image.end) - left, height - 1);
}

function paint(columns, colour) {
  const bins = columns[0].length;
  const canvas = make("canvas", { width: columns.length, height: bins });
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(columns.length, bins);
  const [red, green, blue] = [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16));
  columns.forEach((levels, x) => {
    for (let bin = 0; bin < bins; bin += 1) {
      const share = (levels[bin] - FLOOR_DB) / (TOP_DB - FLOOR_DB);
      const at = ((bins - 1 - bin) * columns.length + x) * 4;
      pixels.data.set([red, green, blue, 255 * Math.min(1, Math.max(0, share))], at);
    }
  });
  context.putImageData(pixels, 0, 0);
  return canvas;
}
