// The keys of the page of one recording.

const SMALL_S = 5;
const LARGE_S = 30;
const TYPED = "input:not([type=range]):not([type=checkbox]), textarea, select";
const OWN = new Map([
  [" ", "button, a, summary, [type=checkbox]"],
  ["ArrowLeft", "[type=range]"],
  ["ArrowRight", "[type=range]"],
  ["Home", "[type=range]"],
  ["End", "[type=range]"],
]);

/** Listen to keys; `act` does what they stand for. */
export function listenToKeys(act) {
  const keys = new Map([
    [" ", () => act.toggle()],
    ["k", () => act.toggle()],
    ["ArrowLeft", ({ shiftKey }) => act.move(shiftKey ? -LARGE_S : -SMALL_S)],
    ["ArrowRight", ({ shiftKey }) => act.move(shiftKey ? LARGE_S : SMALL_S)],
    ["Home", () => act.seek(0)],
    ["End", () => act.seek(Infinity)],
    ["m", () => act.muteAll()],
    ["s", () => act.skipSilence()],
    ["v", () => act.spectrum()],
    [",", () => act.toEvent(-1)],
    [".", () => act.toEvent(1)],
    ["<", () => act.faster(-1)],
    [">", () => act.faster(1)],
    ["+", () => act.zoom(0.5)],
    ["=", () => act.zoom(0.5)],
    ["-", () => act.zoom(2)],
    ["0", () => act.fit()],
    ["l", () => act.copyLink()],
  ]);
  for (let channel = 0; channel < 8; channel += 1) {
    keys.set(String(channel + 1), () => act.mute(channel));
  }
  addEventListener("keydown", (event) => {
    const { target, key } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || target.closest(TYPED)) return;
    // A control that has its own use for a key keeps it.
    if (!keys.has(key) || (OWN.has(key) && target.closest(OWN.get(key)))) return;
    event.preventDefault();
    keys.get(key)(event);
  });
}
