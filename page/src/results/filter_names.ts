// The name of each filter, and the filters without it.

import { date } from "../i18n/language";
import type { Filters, Query } from "../state/query";
import { text } from "./text";

export interface ActiveFilter {
  name: string;
  /** The filters without this one. */
  rest: Filters;
}

export function activeFilters({ filters }: Query): ActiveFilter[] {
  const { takenFrom, takenTo, place, attributes } = filters;
  const active: ActiveFilter[] = [];
  if (takenFrom) active.push({ name: text.since(day(takenFrom)), rest: { ...filters, takenFrom: "" } });
  if (takenTo) active.push({ name: text.until(day(takenTo)), rest: { ...filters, takenTo: "" } });
  if (place) {
    const where = `${place.latitude}, ${place.longitude}`;
    active.push({ name: text.near(where, place.kilometres), rest: { ...filters, place: null } });
  }
  attributes.forEach(({ name, value }, at) => {
    active.push({
      name: value ? `${name} = ${value}` : text.has(name),
      rest: { ...filters, attributes: attributes.toSpliced(at, 1) },
    });
  });
  return active;
}

function day(iso: string): string {
  return /^\d{4}-\d{2}-\d{2}$/.test(iso) ? date(new Date(`${iso}T12:00`)) : iso;
}
