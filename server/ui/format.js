// Words and numbers for people, made from what the API says.

const days = new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long" });
const daysOfOtherYears = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric" });
const times = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

// Maps, because what is looked up may be any text, such as "constructor".
const DIRECTIONS = new Map([
  ["speak", "what they say"],
  ["listen", "what they hear"],
  ["both", "both sides"],
  ["stereo", "both sides, stereo"],
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
export const recordingState = (state) => RECORDING_STATES.get(state) ?? [state, "soft"];
export const tapState = (state) => TAP_STATES.get(state) ?? [state, "soft"];
export const time = (iso) => times.format(new Date(iso));

export function day(iso, now = new Date()) {
  const date = new Date(iso);
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate());
  const yesterday = new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1);
  if (date >= midnight) return "Today";
  if (date >= yesterday) return "Yesterday";
  return (date.getFullYear() === now.getFullYear() ? days : daysOfOtherYears).format(date);
}

export function length(seconds) {
  if (seconds > 0 && seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const pad = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours ? `${hours}:${pad(minutes)}:${pad(whole % 60)}` : `${minutes}:${pad(whole % 60)}`;
}

export function packets(counts) {
  const received = `${counts.received.toLocaleString("en")} packets`;
  return counts.lost > 0 ? `${received}, ${counts.lost.toLocaleString("en")} lost` : received;
}
