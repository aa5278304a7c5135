// Adds a value to an attribute.

import type { JsonValue } from "@bufbuild/protobuf";

/** Return the attribute's new value: a list gets the value added, once; "tags" is always a list. */
export function changedValue(before: JsonValue | undefined, name: string, value: string): JsonValue {
  const given = readValue(value);
  if (Array.isArray(before)) return before.includes(given) ? before : [...before, given];
  if (name === "tags") return before === undefined || before === null || before === given ? [given] : [before, given];
  return given;
}

/** A name in a path: names with dots are in backticks (AIP-161). */
export const attributeName = (name: string): string => (/^[A-Za-z_][\w]*$/.test(name) ? name : `\`${name}\``);

// Numbers are kept as numbers, so that ranges find them; "007" is a text.
function readValue(text: string): JsonValue {
  const number = Number(text);
  return String(number) === text ? number : text;
}
