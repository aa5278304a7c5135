// From the page's filters to the API's.

import { create } from "@bufbuild/protobuf";
import { type Condition, ConditionSchema, type Filter, FilterSchema } from "../gen/semsearch/v1/query_pb";
import type { Attribute, Filters, Place } from "../state/query";

const KILOMETRES_PER_DEGREE = 111.2;
// Sorts after every character that a time has.
const AFTER = "~";

/** Return the message, or undefined if nothing is filtered. */
export function filterMessage(filters: Filters): Filter | undefined {
  const must: Condition[] = [];
  const { takenFrom, takenTo, place, attributes } = filters;
  if (takenFrom || takenTo) {
    // The shortest text that is not empty: an image without a time has an empty one, and must not pass.
    const value = { gte: takenFrom || "0", ...(takenTo ? { lt: takenTo + AFTER } : {}) };
    must.push(create(ConditionSchema, { field: "image.taken_time", test: { case: "textRange", value } }));
  }
  if (place) must.push(...within(place));
  for (const attribute of attributes) must.push(having(attribute));
  return must.length ? create(FilterSchema, { must }) : undefined;
}

// A box about the circle: degrees of longitude shrink with the cosine of the latitude.
function within({ latitude, longitude, kilometres }: Place): Condition[] {
  const high = kilometres / KILOMETRES_PER_DEGREE;
  const wide = high / Math.max(Math.cos((latitude * Math.PI) / 180), 0.01);
  return [
    between("image.latitude", latitude - high, latitude + high),
    between("image.longitude", longitude - wide, longitude + wide),
  ];
}

function between(field: string, gte: number, lte: number): Condition {
  return create(ConditionSchema, { field, test: { case: "range", value: { gte, lte } } });
}

// People type "2024" and mean the number or the text; without a value, the attribute must be there.
function having({ name, value }: Attribute): Condition {
  const field = name;
  if (!value) return create(ConditionSchema, { field, test: { case: "exists", value: true } });
  const readings = [value, ...(value === "true" || value === "false" ? [value === "true"] : []), ...numbersOf(value)];
  return create(ConditionSchema, {
    field,
    test: { case: "anyOf", value: { values: readings.map(valueMessage) } },
  });
}

function numbersOf(text: string): number[] {
  const value = Number(text);
  return text.trim() && Number.isFinite(value) ? [value] : [];
}

function valueMessage(value: string | number | boolean) {
  if (typeof value === "string") return { kind: { case: "stringValue" as const, value } };
  if (typeof value === "number") return { kind: { case: "numberValue" as const, value } };
  return { kind: { case: "boolValue" as const, value } };
}
