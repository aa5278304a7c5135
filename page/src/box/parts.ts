// From the parts of a query, as they were understood, back to the text of the box.

import type { UnderstoodTerm, UnknownWord } from "../gen/semsearch/v1/query_pb";

/** A word or phrase with its weight, as a chip shows it. */
export interface WordPart {
  text: string;
  weight: number;
}

export function wordParts(understood: readonly UnderstoodTerm[]): WordPart[] {
  return understood.map(({ text, weight }) => ({ text, weight: rounded(weight) }));
}

/** Write parts as a query that is understood as these parts; words that were not understood are kept at the end. */
export function writeText(parts: readonly WordPart[], unknown: readonly UnknownWord[]): string {
  return [...parts.map(written), ...unknown.map(({ word }) => word)].join(" ");
}

/** Put a suggestion in the place of a word. */
export function replaceWord(text: string, word: string, suggestion: string): string {
  const escaped = word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const whole = new RegExp(`(?<![\\p{L}\\p{N}])${escaped}(?![\\p{L}\\p{N}])`, "iu");
  return text.replace(whole, () => quoted(suggestion));
}

function written({ text, weight }: WordPart): string {
  const size = Math.abs(weight);
  const power = size === 1 ? "" : `^${rounded(size)}`;
  return `${weight < 0 ? "-" : ""}${quoted(text)}${power}`;
}

// Anything but letters and digits may be an operator, and so may NOT, OR and AND in capitals.
function quoted(text: string): string {
  return /^[\p{L}\p{M}\p{N}]+$/u.test(text) && !/^(NOT|OR|AND|without)$/.test(text)
    ? text
    : `"${text.replaceAll('"', "")}"`;
}

const rounded = (weight: number): number => Number(weight.toFixed(2));
