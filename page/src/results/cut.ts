// The cut: how relevant a result must be to be shown.

import { query } from "../state/address";
import { asksSomething, type Query } from "../state/query";
import type { Result, ResultList } from "./result_list";

/** The cut of a list; `query` is the page's, whose cut may have moved since the list was asked for. */
export function cutOf(list: ResultList, { cut }: Query): number {
  return cut ?? list.defaultCut.value;
}

/** Return how many results are at or above a cut; they are in the order of relevance, or have none. */
export function countAbove(results: readonly Result[], cut: number): number {
  let [low, high] = [0, results.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const relevance = results[middle]?.relevance ?? null;
    if (relevance === null || relevance >= cut) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Return how many of the fetched results are at or above the page's cut, and whether no more will be. */
export function reach(list: ResultList): { count: number; complete: boolean } {
  const results = list.results.value;
  const isCut = asksSomething(list.query) && list.query.order === "best";
  const count = isCut ? countAbove(results, cutOf(list, query.value)) : results.length;
  return { count, complete: list.complete.value || count < results.length };
}

/** Return how many results there are at or above the cut, or undefined until it is known. */
export function totalAbove(list: ResultList, cut: number): number | undefined {
  const { count, complete } = reach(list);
  if (complete) return count;
  const counts = list.counts.value;
  if (!counts) return undefined;
  // Between two hundredths, the count is that of the upper one, or what is already there.
  const at = asksSomething(list.query) ? Math.ceil(Math.round(cut * 10_000) / 100) : 0;
  return Math.max(count, counts[at] ?? 0);
}
