// Short-time spectra by the fast Fourier transform (Cooley and Tukey, 1965). Pure.

/**
 * Return the levels in dB of full scale, by frequency from 0 up, for each of `columns`
 * moments of the samples; windows of `size` samples, a power of two.
 */
export function magnitudes(samples, size, columns) {
  const window = Float32Array.from({ length: size }, (_, at) => 0.5 - 0.5 * Math.cos((2 * Math.PI * at) / size));
  const [real, imaginary] = [new Float32Array(size), new Float32Array(size)];
  const order = reversed(size);
  return Array.from({ length: columns }, (_, column) => {
    const start = Math.round(((column + 0.5) * samples.length) / columns - size / 2);
    for (let at = 0; at < size; at += 1) {
      real[order[at]] = (samples[start + at] ?? 0) * window[at];
      imaginary[at] = 0;
    }
    transform(real, imaginary);
    return levels(real, imaginary);
  });
}

function levels(real, imaginary) {
  const half = real.length / 2;
  // A full tone comes to a quarter of the size behind the window.
  return Float32Array.from({ length: half }, (_, bin) => {
    const level = Math.hypot(real[bin], imaginary[bin]) / (real.length / 4);
    return 20 * Math.log10(level + 1e-9);
  });
}

/** Return where each sample goes first: its number with the bits the other way round. */
function reversed(size) {
  const order = new Uint32Array(size);
  for (let at = 1; at < size; at += 1) {
    order[at] = (order[at >> 1] >> 1) | (at & 1 ? size >> 1 : 0);
  }
  return order;
}

function transform(real, imaginary) {
  for (let span = 1; span < real.length; span *= 2) {
    for (let turn = 0; turn < span; turn += 1) {
      const angle = (-Math.PI * turn) / span;
      const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
      for (let at = turn; at < real.length; at += 2 * span) {
        const other = at + span;
        const re = real[other] * cos - imaginary[other] * sin;
        const im = real[other] * sin + imaginary[other] * cos;
        real[other] = real[at] - re;
        imaginary[other] = imaginary[at] - im;
        real[at] += re;
        imaginary[at] += im;
      }
    }
  }
}
