// The player at the foot of a list.

import { audioPath, pagePath } from "/ui/api.js";
import { byId } from "/ui/dom.js";
import * as format from "/ui/format.js";
import { showNotice } from "/ui/frame.js";
import { titleOf } from "/ui/row.js";

const audio = byId("audio");
let playing = null;

/** Play a recording, or pause it if it is the one that plays. */
export function play(one) {
  if (playing === one.id) {
    if (audio.paused) audio.play();
    else audio.pause();
    return;
  }
  playing = one.id;
  byId("player-title").textContent = titleOf(one);
  byId("player-title").href = pagePath(one.id);
  byId("player-sub").textContent = `${format.day(one.started_at)} ${format.time(one.started_at)}`;
  byId("player").hidden = false;
  audio.src = audioPath(one.id);
  audio.play().catch(() => {});
}

/** Show in a row whether it plays. */
export function markPlaying(row) {
  const isPlaying = row.dataset.id === playing && !audio.paused;
  const button = row.querySelector(".play");
  row.classList.toggle("playing", isPlaying);
  if (!button) return;
  const label = button.getAttribute("aria-label");
  button.setAttribute("aria-label", label.replace(/^(Play|Pause)/, isPlaying ? "Pause" : "Play"));
}

function markAll() {
  for (const row of document.querySelectorAll("article.recording")) markPlaying(row);
}

audio.addEventListener("play", markAll);
audio.addEventListener("pause", markAll);
audio.addEventListener("error", () => {
  if (playing) showNotice("This recording cannot be played; it may have been deleted. Reload the page to see what is there.");
});

byId("player-close").addEventListener("click", () => {
  playing = null;
  audio.pause();
  audio.removeAttribute("src");
  audio.load();
  byId("player").hidden = true;
  markAll();
});
