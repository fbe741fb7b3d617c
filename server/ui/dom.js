// Making and changing elements. Whatever came from a call is set as text, never as markup.

const LINES = new Map([
  ["play", "M5 2.8v10.4l8.2-5.2z"],
  ["pause", "M5 3v10M11 3v10"],
  ["download", "M8 2v8M4.6 7L8 10.4 11.4 7M2.5 13.5h11"],
  ["close", "M3.5 3.5l9 9M12.5 3.5l-9 9"],
  ["plus", "M8 3v10M3 8h10"],
  ["minus", "M3 8h10"],
  ["fit", "M2.5 4v8M13.5 4v8M5 8h6M6.8 5.8L4.6 8l2.2 2.2M9.2 5.8L11.4 8l-2.2 2.2"],
  ["link", "M6.6 9.4l2.8-2.8M7 4.8l1.7-1.7a2.9 2.9 0 0 1 4.2 4.2L11.2 9M9 11.2l-1.7 1.7a2.9 2.9 0 0 1-4.2-4.2L4.8 7"],
  ["back", "M9.5 3.5L5 8l4.5 4.5"],
]);

export const byId = (id) => document.getElementById(id);

/** Change the text only if it is another: less for a screen reader to say again. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Return a new element. Properties are attributes; those that are true have no value,
 * those that are null or false are left out, and functions listen to the event.
 */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

export function icon(name) {
  const svg = byId("icon").content.firstElementChild.cloneNode(true);
  svg.classList.add(`icon-${name}`);
  svg.firstElementChild.setAttribute("d", LINES.get(name));
  return svg;
}

/** Put the icons into the buttons that name one. */
export function addIcons() {
  for (const element of document.querySelectorAll("[data-icon]")) {
    element.prepend(icon(element.dataset.icon));
  }
}

/** Return an element without content of this height: the policy allows no inline style. */
export function makeSpacer() {
  const svg = byId("icon").content.firstElementChild.cloneNode(false);
  svg.setAttribute("class", "spacer");
  svg.removeAttribute("viewBox");
  svg.setAttribute("height", "0");
  return svg;
}

/** Return a function that calls back once things have been quiet for a while. */
export function debounced(callback, delayMs) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => callback(...given), delayMs);
  };
}
