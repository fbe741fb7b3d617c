// Peaks: the least and the greatest sample of each bucket, as the server tells them.

import { ask, peaksPath } from "/ui/api.js";

const HEAD_BYTES = 32;
const STEP = 4; // from one zoom to the next
const TILE = 4096; // buckets that are asked for at once
const MAX_TILES = 96;
const MOST = 65_536; // buckets that the server tells in one answer

/** Return {channels, zooms, rate, bucket, samples, first, pairs} of some buckets. */
export async function getPeaks(id, { zoom = 0, from = 0, to = MOST, signal } = {}) {
  const response = await ask(`${peaksPath(id)}?zoom=${zoom}&from=${from}&to=${to}`, { signal });
  const buffer = await response.arrayBuffer();
  const head = new DataView(buffer, 0, HEAD_BYTES);
  return {
    channels: head.getUint16(4, true),
    zooms: head.getUint16(6, true),
    rate: head.getUint32(8, true),
    bucket: head.getUint32(12, true),
    samples: Number(head.getBigUint64(16, true)),
    first: Number(head.getBigUint64(24, true)),
    pairs: new Int16Array(buffer, HEAD_BYTES),
  };
}

/** The peaks of one recording: tiles of the zooms that somebody looks at. */
export class PeakStore {
  /** `onArrival` is called whenever there is more to draw. */
  constructor(id, onArrival) {
    this.id = id;
    this.onArrival = onArrival;
    this.tiles = new Map();
    this.underway = new Set();
  }

  async open() {
    this.whole = await getPeaks(this.id);
    return this.whole;
  }

  bucketOf(zoom) {
    return this.whole.bucket / STEP ** zoom;
  }

  /** Return the coarsest zoom that has a bucket or more for this many samples. */
  zoomFor(samples) {
    let zoom = 0;
    while (zoom < this.whole.zooms - 1 && this.bucketOf(zoom) > samples) zoom += 1;
    return zoom;
  }

  /** Return all of the finest zoom that comes in one answer. */
  async overall() {
    let zoom = 0;
    const buckets = (at) => Math.ceil(this.whole.samples / this.bucketOf(at));
    while (zoom < this.whole.zooms - 1 && buckets(zoom + 1) <= MOST) zoom += 1;
    return getPeaks(this.id, { zoom });
  }

  /** Return [least, greatest] between two samples; coarser ones until the tile is here. */
  extremes(channel, start, end, zoom) {
    const bucket = this.bucketOf(zoom);
    const first = Math.floor(start / bucket);
    const last = Math.max(first + 1, Math.ceil(end / bucket));
    const tile = zoom === 0 ? this.whole : this.tile(zoom, Math.floor(first / TILE));
    if (!tile) return this.extremes(channel, start, end, 0);
    return extremesOf(tile, channel, first - tile.first, last - tile.first);
  }

  tile(zoom, number) {
    const key = `${zoom} ${number}`;
    const found = this.tiles.get(key);
    if (found) {
      // Those looked at last are the last to go.
      this.tiles.delete(key);
      this.tiles.set(key, found);
    } else if (!this.underway.has(key)) {
      this.load(key, zoom, number);
    }
    return found;
  }

  async load(key, zoom, number) {
    this.underway.add(key);
    try {
      const [from, to] = [number * TILE, (number + 1) * TILE];
      this.tiles.set(key, await getPeaks(this.id, { zoom, from, to }));
      if (this.tiles.size > MAX_TILES) this.tiles.delete(this.tiles.keys().next().value);
      this.underway.delete(key);
      this.onArrival();
    } catch {
      // What is coarser stays; the next look asks again, but not at once.
      setTimeout(() => this.underway.delete(key), 2000);
    }
  }
}

/** Return [least, greatest] of some buckets of a part. */
export function extremesOf(part, channel, first, last) {
  const { pairs, channels } = part;
  let [least, greatest] = [32767, -32768];
  const end = Math.min(last * channels * 2, pairs.length);
  for (let at = (Math.max(0, first) * channels + channel) * 2; at < end; at += channels * 2) {
    if (pairs[at] < least) least = pairs[at];
    if (pairs[at + 1] > greatest) greatest = pairs[at + 1];
  }
  return least > greatest ? [0, 0] : [least, greatest];
}
