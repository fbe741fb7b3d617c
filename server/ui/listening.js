// Listening to a recording: timeline, playback, buttons, keys and the address together.

import { byId, icon, setText } from "/ui/dom.js";
import * as format from "/ui/format.js";
import { attempt, showNotice } from "/ui/frame.js";
import { listenToKeys } from "/ui/keys.js";
import { showMixer } from "/ui/mixer.js";
import { Playback, SPEEDS } from "/ui/playback.js";
import { silencesOf } from "/ui/silence.js";
import { MOST_S, Spectra } from "/ui/spectrum.js";
import { Timeline } from "/ui/timeline.js";
import { Viewport } from "/ui/viewport.js";

const NEAR_S = 0.5; // so that going back reaches the event before the one just left

export class Listening {
  constructor(recording, store, marks) {
    const { channels, samples, rate } = store.whole;
    Object.assign(this, { store, marks, duration: samples / rate });
    this.view = new Viewport(this.duration);
    this.playback = new Playback(byId("audio"), {
      id: recording.id,
      channels,
      duration: this.duration,
      onChange: () => this.show(),
      onPosition: (seconds) => this.showPosition(seconds),
    });
    this.mixer = showMixer(byId("mixer"), this.playback, recording.channel_map);
    this.timeline = new Timeline(byId("timeline"), {
      view: this.view,
      store,
      spectra: new Spectra(recording.id, store.whole, () => this.redraw()),
      marks,
      isMuted: (channel) => this.playback.isMuted(channel),
      onSeek: (seconds) => this.seek(seconds),
    });
    this.listen();
    this.seekToAddress();
    this.show();
  }

  listen() {
    byId("play").append(icon("play"), icon("pause"));
    byId("play").addEventListener("click", () => this.toggle());
    byId("zoom-in").addEventListener("click", () => this.zoom(0.5));
    byId("zoom-out").addEventListener("click", () => this.zoom(2));
    byId("zoom-fit").addEventListener("click", () => this.fit());
    byId("link").addEventListener("click", () => this.copyLink());
    byId("skip").addEventListener("change", () => this.setSkipping(byId("skip").checked));
    byId("spectrum").addEventListener("change", () => this.setSpectrum(byId("spectrum").checked));
    byId("speed").addEventListener("change", () => this.playback.setSpeed(Number(byId("speed").value)));
    addEventListener("hashchange", () => this.seekToAddress());
    byId("audio").addEventListener("error", () => showNotice("The audio cannot be played. It may have been deleted; reload the page to see."));
    listenToKeys(this);
  }

  toggle() {
    return attempt(() => this.playback.toggle());
  }

  seek(seconds) {
    this.playback.seek(seconds);
    if (this.view.reveal(this.playback.position)) this.redraw();
  }

  move(seconds) {
    this.seek(this.playback.position + seconds);
  }

  mute(channel) {
    if (channel >= this.playback.channels) return;
    this.playback.setFader(channel, { isMuted: !this.playback.faders[channel].isMuted });
  }

  muteAll() {
    const isMuted = !this.playback.faders.every((each) => each.isMuted);
    this.playback.faders.forEach((_, channel) => this.playback.setFader(channel, { isMuted }));
  }

  skipSilence() {
    byId("skip").checked = !byId("skip").checked;
    this.setSkipping(byId("skip").checked);
  }

  setSkipping(isOn) {
    this.playback.isSkipping = isOn;
    if (!isOn || this.playback.silences.length) return;
    attempt(async () => {
      this.playback.silences = silencesOf(await this.store.overall());
    });
  }

  spectrum() {
    byId("spectrum").checked = !byId("spectrum").checked;
    this.setSpectrum(byId("spectrum").checked);
  }

  setSpectrum(isOn) {
    this.timeline.isSpectrum = isOn;
    // What is longer is shown from its position on, as much as can be.
    if (isOn && this.view.span > MOST_S) {
      this.view.zoom(MOST_S / this.view.span, this.playback.position);
      this.show();
    }
    this.redraw();
  }

  faster(steps) {
    const at = SPEEDS.indexOf(this.playback.audio.playbackRate) + steps;
    byId("speed").value = SPEEDS[Math.min(SPEEDS.length - 1, Math.max(0, at))];
    this.playback.setSpeed(Number(byId("speed").value));
  }

  /** Go to the next event, or with -1 to the one before. */
  toEvent(step) {
    const at = this.playback.position;
    const times = this.marks.map((each) => each.start_s);
    const found = step > 0 ? times.find((each) => each > at + 0.05) : times.findLast((each) => each < at - NEAR_S);
    if (found !== undefined) this.seek(found);
  }

  zoom(factor) {
    this.view.zoom(factor, this.playback.position);
    this.redraw();
    this.show();
  }

  fit() {
    this.view.fit();
    this.redraw();
    this.show();
  }

  seekToAddress() {
    const wanted = Number.parseFloat(new URLSearchParams(location.hash.slice(1)).get("t"));
    if (Number.isFinite(wanted)) this.seek(wanted);
  }

  async copyLink() {
    const hash = `#t=${this.playback.position.toFixed(1)}`;
    history.replaceState(null, "", hash);
    try {
      await navigator.clipboard.writeText(location.href);
      setText(byId("saved"), "Link to this position copied");
    } catch {
      // Browsers allow it on safe addresses only.
      setText(byId("saved"), "The link to this position is in the address bar");
    }
  }

  redraw() {
    this.timeline.redraw();
  }

  showPosition(seconds) {
    if (this.playback.isPlaying && this.view.reveal(seconds)) this.redraw();
    this.timeline?.setPosition(seconds);
    this.mixer?.showLevels();
    setText(byId("position"), format.clock(seconds, 1));
    const slider = byId("timeline");
    slider.setAttribute("aria-valuenow", seconds.toFixed(1));
    slider.setAttribute("aria-valuetext", `${format.clock(seconds)} of ${format.clock(this.duration)}`);
  }

  show() {
    const { isPlaying } = this.playback;
    byId("play").classList.toggle("playing", isPlaying);
    byId("play").setAttribute("aria-label", isPlaying ? "Pause" : "Play");
    setText(byId("duration"), format.clock(this.duration, 1));
    byId("timeline").setAttribute("aria-valuemax", this.duration.toFixed(1));
    byId("zoom-fit").disabled = byId("zoom-out").disabled = this.view.isWhole;
    this.mixer.show();
    this.mixer.showLevels();
    this.redraw();
  }
}
