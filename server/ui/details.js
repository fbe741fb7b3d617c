// Everything else that is known about a recording, as terms and what they are.

import { make } from "/ui/dom.js";
import * as format from "/ui/format.js";

/** Fill a description list; what is not known is left out. */
export function showDetails(box, recording) {
  const rows = [...facts(recording), ...quality(recording), ...ids(recording)];
  box.replaceChildren(
    ...rows.filter(([, text]) => text).flatMap(([term, text]) => [make("dt", {}, term), make("dd", {}, text)]),
  );
}

function facts(one) {
  return [
    ["Started", format.moment(one.started_at)],
    ["Ended", one.ended_at && format.moment(one.ended_at)],
    ["Because", one.end_reason],
    ["Side", format.direction(one.direction)],
    ["Came by", format.joined(format.transport(one.transport), one.codec, one.sample_rate && `${one.sample_rate / 1000} kHz`)],
    ["Packets", one.packets.received ? format.packets(one.packets) : ""],
    ["File", one.has_audio && format.joined(format.bytes(one.size_bytes), one.encoding === "native" ? "as it was sent" : "16-bit PCM")],
  ];
}

function quality({ quality: one, jitter_ms }) {
  if (!one) return [];
  return [
    ["Lost", `${one.loss_percent.toFixed(2)} %`],
    ["Jitter", `${jitter_ms.toFixed(1)} ms`],
    ["Mean level", level(one.level_dbfs)],
    ["Peak level", level(one.peak_dbfs)],
    ["Clipped", one.clipped_samples ? format.count(one.clipped_samples, "sample", "samples") : ""],
    ["Clock drift", one.drift_ppm === null ? "" : `${one.drift_ppm.toFixed(1)} ppm`],
    ["Quality (MOS)", one.mos_estimate === null ? "" : `${one.mos_estimate.toFixed(1)} of 4.5, estimated`],
  ];
}

function level(dbfs) {
  return dbfs === null ? "" : `${dbfs.toFixed(1)} dBFS`;
}

function ids(one) {
  const own = Object.entries(one.custom_parameters);
  return [["Call", one.call_id], ["Tap", one.control_id], ["Recording", one.id], ["SHA-256", one.sha256], ...own];
}
