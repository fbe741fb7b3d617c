// Words and numbers for people, made from what the API says. Times are the viewer's.

const days = new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long" });
const daysOfOtherYears = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric" });
const times = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const moments = new Intl.DateTimeFormat("en-GB", {
  ...{ day: "numeric", month: "long", year: "numeric" },
  ...{ hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZoneName: "short" },
});

// Maps, because what is looked up may be any text, such as "constructor".
const DIRECTIONS = new Map([
  ["speak", "what they say"],
  ["listen", "what they hear"],
  ["both", "both sides"],
  ["stereo", "both sides, stereo"],
]);
const CHANNELS = new Map([
  ["speak", "Says"],
  ["listen", "Hears"],
]);
const TRANSPORTS = new Map([
  ["ws", "WebSocket"],
  ["rtp", "RTP"],
]);
const RECORDING_STATES = new Map([
  ["complete", ["Complete", "good"]],
  ["partial", ["Partial", "warn"]],
  ["silent", ["Silent", "soft"]],
  ["missing", ["No audio", "bad"]],
  ["failed", ["Failed", "bad"]],
]);
const TAP_STATES = new Map([
  ["waiting", ["Waiting for audio", "soft"]],
  ["receiving", ["Receiving", "good"]],
  ["stalled", ["Stalled", "warn"]],
]);

export const party = (number) => number || "unknown";
export const direction = (name) => DIRECTIONS.get(name) ?? name;
export const transport = (name) => TRANSPORTS.get(name) ?? name;
export const channel = (name) => CHANNELS.get(name) ?? name;
export const recordingState = (state) => RECORDING_STATES.get(state) ?? [state, "soft"];
export const tapState = (state) => TAP_STATES.get(state) ?? [state, "soft"];
export const time = (iso) => times.format(new Date(iso));
export const moment = (iso) => moments.format(new Date(iso));
export const joined = (...facts) => facts.filter(Boolean).join(" · ");
export const count = (number, one, many) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;

export function day(iso, now = new Date()) {
  const date = new Date(iso);
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate());
  const yesterday = new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1);
  if (date >= midnight) return "Today";
  if (date >= yesterday) return "Yesterday";
  return (date.getFullYear() === now.getFullYear() ? days : daysOfOtherYears).format(date);
}

/** A length: "4.5 s", "2:31", "1:02:03". */
export function length(seconds) {
  if (seconds > 0 && seconds < 10) return `${seconds.toFixed(1)} s`;
  return clock(Math.round(seconds));
}

/** A position: "0:04", "2:31.5", "1:02:03". */
export function clock(seconds, digits = 0) {
  const unit = 10 ** digits;
  const total = Math.floor(seconds * unit + 1e-6) / unit;
  const pad = (number, places = 0) => number.toFixed(places).padStart(places ? 3 + places : 2, "0");
  const [hours, minutes] = [Math.floor(total / 3600), Math.floor(total / 60) % 60];
  const rest = pad(total % 60, digits);
  return hours ? `${hours}:${pad(minutes)}:${rest}` : `${minutes}:${rest}`;
}

/** A length in a sentence: "80 ms", "1.2 s", "2 min 5 s". */
export function span(seconds) {
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${Number(seconds.toFixed(1))} s`;
  return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
}

export function bytes(number) {
  const units = ["bytes", "kB", "MB", "GB"];
  const at = Math.min(3, Math.floor(Math.log10(Math.max(1, number)) / 3));
  return `${(number / 1000 ** at).toFixed(at ? 1 : 0)} ${units[at]}`;
}

export function packets(counts) {
  const received = `${counts.received.toLocaleString("en")} packets`;
  return counts.lost > 0 ? `${received}, ${counts.lost.toLocaleString("en")} lost` : received;
}
