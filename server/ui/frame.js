// What every page has: the state of the server in its head, and a place for bad news.

import { addIcons, byId, setText } from "/ui/dom.js";

const HEALTH_EVERY_MS = 5000;

export function showNotice(text) {
  setText(byId("notice"), text);
  byId("notice").hidden = text === "";
}

/** Do something; show what went wrong, if it did, and tell whether it went well. */
export async function attempt(action) {
  try {
    await action();
    return true;
  } catch (error) {
    if (error.name !== "AbortError") showNotice(error.message);
    return false;
  }
}

async function updateHealth() {
  try {
    const { ready, reasons, relay } = await readiness();
    const health = byId("health");
    health.dataset.ready = String(ready);
    setText(byId("health-text"), ready ? "Ready" : reasons.join(" · "));
    setText(byId("health-more"), ready && relay ? `RELAY ${relay}` : "");
  } catch {
    byId("health").dataset.ready = "false";
    setText(byId("health-more"), "");
    setText(byId("health-text"), "No answer");
  }
}

async function readiness() {
  // Not being ready is an answer too, and the body says why.
  const response = await fetch("/readyz", { signal: AbortSignal.timeout(HEALTH_EVERY_MS) });
  return response.json();
}

/** Start what every page has. */
export function startFrame() {
  addIcons();
  repeat(updateHealth, HEALTH_EVERY_MS);
}

/** Do something now and again, as long as somebody looks; never twice at once. */
export function repeat(action, everyMs) {
  const turn = async () => {
    if (!document.hidden) await action();
    setTimeout(turn, everyMs);
  };
  turn();
}
