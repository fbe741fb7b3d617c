// A long list of which only what can be seen is in the page.

import { makeSpacer } from "/ui/dom.js";

const BEYOND = 8; // rows kept above and below the window

export class VirtualList {
  /**
   * `box` holds the rows. Items have an `id`; `makeRow(item)` returns its element, which
   * has a heading above it where `headingOf(item)` is not that of the item before.
   * `onNearEnd` is called when the last items come into sight.
   */
  constructor(box, { makeRow, headingOf, onRow, onNearEnd }) {
    Object.assign(this, { box, makeRow, headingOf, onRow, onNearEnd });
    this.items = [];
    this.tops = [0];
    this.rows = new Map();
    this.above = makeSpacer();
    this.below = makeSpacer();
    this.isDue = false;
    box.replaceChildren(this.above, this.below);
    addEventListener("scroll", () => this.schedule(), { passive: true });
    addEventListener("resize", () => this.measure());
    this.measure();
  }

  /** Show these items. What is being looked at stays where it is. */
  setItems(items) {
    const anchor = this.items[this.indexAt(this.scrolled())];
    const before = anchor && this.topOf(anchor.id);
    this.items = items;
    this.layOut();
    const after = anchor && this.topOf(anchor.id);
    if (this.scrolled() > 0 && before !== undefined && after !== undefined) scrollBy(0, after - before);
    this.render();
  }

  measure() {
    const styles = getComputedStyle(this.box);
    this.rowHeight = Number.parseFloat(styles.getPropertyValue("--row-px"));
    this.headingHeight = Number.parseFloat(styles.getPropertyValue("--heading-px"));
    this.layOut();
    this.render();
  }

  layOut() {
    this.tops = [0];
    this.headings = this.items.map((item, at) => {
      const heading = this.headingOf(item);
      return at > 0 && heading === this.headingOf(this.items[at - 1]) ? "" : heading;
    });
    for (const heading of this.headings) {
      this.tops.push(this.tops.at(-1) + this.rowHeight + (heading ? this.headingHeight : 0));
    }
  }

  scrolled() {
    return -this.box.getBoundingClientRect().top;
  }

  topOf(id) {
    const at = this.items.findIndex((item) => item.id === id);
    return at < 0 ? undefined : this.tops[at];
  }

  /** Return the number of the item at this height. */
  indexAt(height) {
    let [low, high] = [0, this.items.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.tops[middle + 1] > height) high = middle;
      else low = middle + 1;
    }
    return Math.min(low, Math.max(0, this.items.length - 1));
  }

  schedule() {
    if (this.isDue) return;
    this.isDue = true;
    requestAnimationFrame(() => {
      this.isDue = false;
      this.render();
    });
  }

  render() {
    const scrolled = this.scrolled();
    const first = Math.max(0, this.indexAt(scrolled) - BEYOND);
    const last = Math.min(this.items.length, this.indexAt(scrolled + innerHeight) + 1 + BEYOND);
    this.above.setAttribute("height", this.tops[first]);
    this.below.setAttribute("height", this.tops.at(-1) - this.tops[last]);
    this.place(first, last);
    if (this.items.length && last > this.items.length - 2 * BEYOND) this.onNearEnd();
  }

  place(first, last) {
    const wanted = this.items.slice(first, last);
    const keys = new Set(wanted.map((item) => item.id));
    for (const [id, { row }] of this.rows) {
      if (keys.has(id)) continue;
      row.remove();
      this.rows.delete(id);
    }
    const rows = wanted.map((item, offset) => this.rowOf(item, first + offset));
    let next = this.above.nextSibling;
    for (const row of rows) {
      if (row === next) next = next.nextSibling;
      else this.box.insertBefore(row, next);
    }
  }

  rowOf(item, at) {
    const made = this.rows.get(item.id);
    const row = made?.item === item ? made.row : this.makeRow(item);
    if (made && made.row !== row) made.row.remove();
    this.rows.set(item.id, { item, row });
    row.setAttribute("aria-posinset", at + 1);
    row.setAttribute("aria-setsize", -1);
    if (this.headings[at]) row.dataset.heading = this.headings[at];
    else delete row.dataset.heading;
    this.onRow(row);
    return row;
  }
}
