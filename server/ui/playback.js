// Playing a recording: the element that plays, and a mixer with a fader per channel.

import { audioPath } from "/ui/api.js";
import { silenceAt } from "/ui/silence.js";

export const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 2, 2.5, 3];
const METER_SAMPLES = 1024;
const FADE_S = 0.015; // a jump in level would click

export class Playback {
  /** `onChange` is called when anything but the position has changed. */
  constructor(audio, { id, channels, duration, onChange, onPosition }) {
    Object.assign(this, { audio, channels, duration, onChange, onPosition });
    this.faders = Array.from({ length: channels }, () => ({ volume: 1, isMuted: false, isSolo: false }));
    this.silences = [];
    this.meters = [];
    this.isSkipping = false;
    audio.src = audioPath(id);
    for (const name of ["play", "pause", "ratechange", "ended"]) audio.addEventListener(name, onChange);
    for (const name of ["seeked", "timeupdate"]) audio.addEventListener(name, () => this.tell());
    audio.addEventListener("play", () => this.follow());
  }

  get position() {
    return this.audio.currentTime;
  }

  get isPlaying() {
    return !this.audio.paused;
  }

  async toggle() {
    if (this.isPlaying) {
      this.audio.pause();
      return;
    }
    this.connect();
    await Promise.all([this.context.resume(), this.audio.play()]);
  }

  seek(seconds) {
    this.audio.currentTime = Math.min(this.duration, Math.max(0, seconds));
    this.tell();
  }

  setSpeed(speed) {
    this.audio.defaultPlaybackRate = speed;
    this.audio.playbackRate = speed;
  }

  /** Change a channel's fader: `volume` from 0 up, `isMuted`, `isSolo`. */
  setFader(channel, change) {
    Object.assign(this.faders[channel], change);
    this.levels().forEach((level, at) => {
      this.gains?.[at].gain.setTargetAtTime(level, this.context.currentTime, FADE_S);
    });
    this.onChange();
  }

  isMuted(channel) {
    return this.levels()[channel] === 0;
  }

  levels() {
    const isAnySolo = this.faders.some((each) => each.isSolo);
    return this.faders.map((each) => (each.isMuted || (isAnySolo && !each.isSolo) ? 0 : each.volume));
  }

  /** Make the mixer; browsers allow that only once somebody has pressed something. */
  connect() {
    if (this.context) return;
    this.context = new AudioContext();
    const source = this.context.createMediaElementSource(this.audio);
    const splitter = this.context.createChannelSplitter(this.channels);
    const merger = this.context.createChannelMerger(2);
    source.connect(splitter);
    this.gains = this.levels().map((level, channel) => {
      const gain = new GainNode(this.context, { gain: level });
      splitter.connect(gain, channel);
      this.meters.push(this.meter(gain));
      const sides = this.channels === 2 ? [channel] : [0, 1];
      for (const side of sides) gain.connect(merger, 0, side);
      return gain;
    });
    merger.connect(this.context.destination);
  }

  meter(node) {
    const analyser = new AnalyserNode(this.context, { fftSize: METER_SAMPLES });
    node.connect(analyser);
    return analyser;
  }

  /** Return the peak of what is heard of a channel right now, of 1. */
  peakOf(channel) {
    if (!this.isPlaying || !this.meters[channel]) return 0;
    this.heard ??= new Float32Array(METER_SAMPLES);
    this.meters[channel].getFloatTimeDomainData(this.heard);
    return this.heard.reduce((most, each) => Math.max(most, Math.abs(each)), 0);
  }

  follow() {
    if (this.audio.paused) return;
    this.tell();
    requestAnimationFrame(() => this.follow());
  }

  /** Tell the position; called in the background as well, where no frames are drawn. */
  tell() {
    if (this.isSkipping && this.isPlaying && !this.audio.seeking) this.leaveSilence();
    this.onPosition(this.position);
  }

  leaveSilence() {
    const silence = silenceAt(this.silences, this.position);
    if (silence) this.audio.currentTime = silence.end;
  }
}
