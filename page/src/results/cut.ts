// The cut: how relevant a result must be to be shown.

import { query } from "../state/address";
import { isSearch, type Query } from "../state/query";
import type { Result, ResultList } from "./result_list";

/** Return the cut of a list; `query` is that of the page, whose cut may have moved since the list was requested. */
export function cutOf(list: ResultList, { cut }: Query): number {
  return cut ?? list.defaultCut.value;
}

/** Count the results at or above a cut. They are in order of relevance, or have no relevance. */
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

/** Count the fetched results at or above the page's cut; `complete` says that there are no more. */
export function reach(list: ResultList): { count: number; complete: boolean } {
  const results = list.results.value;
  const isCut = isSearch(list.query) && list.query.order === "best";
  const count = isCut ? countAbove(results, cutOf(list, query.value)) : results.length;
  return { count, complete: list.complete.value || count < results.length };
}

/** Return the number of all results at or above the cut, or undefined if it is not known. */
export function totalAbove(list: ResultList, cut: number): number | undefined {
  const { count, complete } = reach(list);
  if (complete) return count;
  const counts = list.counts.value;
  // The server's counts include copies.
  if (!counts || list.query.distinct) return undefined;
  // Between two hundredths, take the count of the upper one, or the number of fetched results if that is larger.
  const at = isSearch(list.query) ? Math.ceil(Math.round(cut * 10_000) / 100) : 0;
  return Math.max(count, counts[at] ?? 0);
}
