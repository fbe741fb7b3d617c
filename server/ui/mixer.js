// The faders beside the timeline: one per channel, to mute, to hear alone, to turn up.

import { make } from "/ui/dom.js";
import { channel as channelName } from "/ui/format.js";

const FLOOR_DB = -54;
const FALL_DB = 1; // from one picture to the next

/** Fill `box` with the faders of a playback; return {show, showLevels}. */
export function showMixer(box, playback, names) {
  const faders = playback.faders.map((_, channel) => {
    const name = names[channel] ? channelName(names[channel]) : "Audio";
    return fader(playback, channel, name);
  });
  box.replaceChildren(...faders.map((each) => each.element));
  return {
    show: () => faders.forEach((each) => each.show()),
    showLevels: () => faders.forEach((each, channel) => each.showLevel(playback.peakOf(channel))),
  };
}

function fader(playback, channel, name) {
  const flip = (key) => playback.setFader(channel, { [key]: !playback.faders[channel][key] });
  const mute = button("Mute", name, () => flip("isMuted"));
  const solo = button("Solo", name, () => flip("isSolo"));
  const range = { type: "range", min: "0", max: "2", step: "0.05", value: "1" };
  const slider = make("input", { ...range, "aria-label": `Volume of ${name}` });
  slider.addEventListener("input", () => playback.setFader(channel, { volume: Number(slider.value) }));
  const level = make("meter", { min: String(FLOOR_DB), max: "0", value: String(FLOOR_DB), "aria-label": `Level of ${name}` });
  const element = make(
    "div",
    { class: "fader", role: "group", "aria-label": name, "data-channel": channel % 2 },
    make("p", { class: "fader-name" }, name),
    make("div", { class: "fader-buttons" }, mute, playback.channels > 1 ? solo : null),
    slider,
    level,
  );
  const show = () => {
    const { isMuted, isSolo } = playback.faders[channel];
    mute.setAttribute("aria-pressed", isMuted);
    solo.setAttribute("aria-pressed", isSolo);
    element.classList.toggle("silent", playback.isMuted(channel));
  };
  const showLevel = (peak) => {
    // It falls slowly, so that the eye can follow.
    level.value = peak ? Math.max(20 * Math.log10(peak), level.value - FALL_DB, FLOOR_DB) : FLOOR_DB;
  };
  show();
  return { element, show, showLevel };
}

function button(word, name, click) {
  const label = `${word} ${name}`;
  return make("button", { type: "button", class: "chip", "aria-label": label, "aria-pressed": "false", click }, word);
}
