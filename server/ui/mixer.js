// The faders beside the timeline: one per channel, to mute, to hear alone, to turn up.

import { make } from "/ui/dom.js";
import { channel as channelName } from "/ui/format.js";

/** Fill `box` with the faders of a playback; return a function that shows their state. */
export function showMixer(box, playback, names) {
  const faders = playback.faders.map((_, channel) => {
    const name = names[channel] ? channelName(names[channel]) : "Audio";
    return fader(playback, channel, name);
  });
  box.replaceChildren(...faders.map((each) => each.element));
  return () => faders.forEach((each) => each.show());
}

function fader(playback, channel, name) {
  const flip = (key) => playback.setFader(channel, { [key]: !playback.faders[channel][key] });
  const mute = button("Mute", name, () => flip("isMuted"));
  const solo = button("Solo", name, () => flip("isSolo"));
  const range = { type: "range", min: "0", max: "2", step: "0.05", value: "1" };
  const slider = make("input", { ...range, "aria-label": `Volume of ${name}` });
  slider.addEventListener("input", () => playback.setFader(channel, { volume: Number(slider.value) }));
  const element = make(
    "div",
    { class: "fader", role: "group", "aria-label": name, "data-channel": channel % 2 },
    make("p", { class: "fader-name" }, name),
    make("div", { class: "fader-buttons" }, mute, playback.channels > 1 ? solo : null),
    slider,
  );
  const show = () => {
    const { isMuted, isSolo } = playback.faders[channel];
    mute.setAttribute("aria-pressed", isMuted);
    solo.setAttribute("aria-pressed", isSolo);
    element.classList.toggle("silent", playback.isMuted(channel));
  };
  show();
  return { element, show };
}

function button(word, name, click) {
  const label = `${word} ${name}`;
  return make("button", { type: "button", class: "chip", "aria-label": label, "aria-pressed": "false", click }, word);
}
