// How many results there are at or above each cut, as far as the server says.

import { signal } from "@preact/signals";
import type { ResultList } from "./result_list";

export interface Counts {
  /** Number of results at or above a cut. */
  above: (cut: number) => number;
  /** For 0, 0.01 … 1, how many are at least so relevant. */
  byRelevance: readonly number[];
}

const known = new WeakMap<ResultList, ReturnType<typeof signal<Counts | null>>>();

/** Return the counts of a list, or null until they are known. */
export function countsOf(list: ResultList): Counts | null {
  const counts = known.get(list) ?? signal<Counts | null>(null);
  known.set(list, counts);
  return counts.value ?? null;
}
