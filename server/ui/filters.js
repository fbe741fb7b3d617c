// What the list of recordings is narrowed to: in the form, in the address, for the API.

import { byId } from "/ui/dom.js";

const FIELDS = ["q", "from", "to", "direction", "state", "tag"];

/** Return what the address says. */
export function filtersOfAddress() {
  const given = new URLSearchParams(location.search);
  return Object.fromEntries(FIELDS.map((name) => [name, given.get(name) ?? ""]));
}

export function showFilters(filters) {
  for (const name of FIELDS) {
    const field = byId(`filter-${name}`);
    if (field.value !== filters[name]) field.value = filters[name];
  }
  const narrowed = FIELDS.filter((name) => name !== "q" && filters[name]);
  byId("filters-clear").hidden = narrowed.length === 0 && !filters.q;
}

export function filtersOfForm() {
  return Object.fromEntries(FIELDS.map((name) => [name, byId(`filter-${name}`).value.trim()]));
}

export const areNone = (filters) => FIELDS.every((name) => !filters[name]);

/** Return the address of the page that shows this. */
export function addressOf(filters) {
  const query = new URLSearchParams(FIELDS.filter((name) => filters[name]).map((name) => [name, filters[name]]));
  return query.size ? `/recordings?${query}` : "/recordings";
}

/** Return the path of the API for this; days are those of the viewer's zone. */
export function apiPathOf(filters, cursor, limit) {
  const query = new URLSearchParams({ limit: String(limit) });
  for (const name of ["q", "direction", "state", "tag"]) {
    if (filters[name]) query.set(name, filters[name]);
  }
  if (filters.from) query.set("from", midnight(filters.from, 0));
  if (filters.to) query.set("to", midnight(filters.to, 1));
  if (cursor) query.set("cursor", cursor);
  return `/api/v1/recordings?${query}`;
}

function midnight(day, daysLater) {
  const [year, month, date] = day.split("-").map(Number);
  return new Date(year, month - 1, date + daysLater).toISOString();
}
