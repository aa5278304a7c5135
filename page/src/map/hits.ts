// The images that a query finds, which the map highlights.

import { fetchPage } from "../results/pages";
import { hasFilters, isSearch, type Query } from "../state/query";

const PAGE = 1_000;
const MOST = 5_000;

/** Return the ids of what a query finds above its cut, at most 5,000; null if it has no words, pictures or filters. */
export async function hitsOf(query: Query, signal: AbortSignal): Promise<ReadonlySet<string> | null> {
  if (!isSearch(query) && !hasFilters(query)) return null;
  const ids = new Set<string>();
  let token = "";
  do {
    const found = await fetchPage(query, PAGE, token, signal);
    const cut = query.cut ?? found.defaultCut;
    const above = found.results.filter(({ relevance }) => relevance === null || relevance >= cut);
    for (const { image } of above) ids.add(image.id);
    token = above.length === found.results.length ? found.nextPageToken : "";
  } while (token && ids.size < MOST);
  return ids;
}
