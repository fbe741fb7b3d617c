// Where nobody speaks: stretches in which every channel stays quiet. Pure.

const QUIET = 330; // of 32768: -40 dB of full scale
const LEAST_S = 1.2;
const MARGIN_S = 0.3; // left at both ends, so that no word loses its start

/** Return [{start, end}] in seconds, in order, from peaks of all of a recording. */
export function silencesOf({ pairs, channels, bucket, rate, samples }) {
  const found = [];
  const step = bucket / rate;
  const buckets = pairs.length / 2 / channels;
  let start = 0;
  for (let at = 0; at <= buckets; at += 1) {
    if (at < buckets && isQuiet(pairs, at * channels * 2, channels * 2)) continue;
    const end = Math.min(at * step, samples / rate);
    if (end - start >= LEAST_S) found.push({ start: start + MARGIN_S, end: end - MARGIN_S });
    start = (at + 1) * step;
  }
  return found;
}

function isQuiet(pairs, from, length) {
  for (let at = from; at < from + length; at += 1) {
    if (pairs[at] > QUIET || pairs[at] < -QUIET) return false;
  }
  return true;
}

/** Return the silence that a position is in, if it is in one. */
export function silenceAt(silences, seconds) {
  let [low, high] = [0, silences.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (silences[middle].end > seconds) high = middle;
    else low = middle + 1;
  }
  const found = silences[low];
  return found && seconds >= found.start ? found : null;
}
