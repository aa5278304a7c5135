// The regions of a map as the page shows them. A point belongs to the region with the nearest middle.

import type { MapRegion } from "../gen/semsearch/v1/map_service_pb";
import type { Points } from "./collection_map";

export interface Region {
  /** The image in the middle of its meaning, which names it in addresses. */
  id: string;
  words: readonly string[];
  x: number;
  y: number;
  /** Its points, in the order in which they were added. */
  points: number[];
}

/** Return the regions that have points, those with most first. */
export function regionsOf(regions: readonly MapRegion[], points: Points): Region[] {
  const found = regions.map(({ words, x, y, imageId }): Region => ({ id: imageId, words, x, y, points: [] }));
  for (let at = 0; at < points.ids.length; at++) {
    const [x, y] = [points.places[2 * at] as number, points.places[2 * at + 1] as number];
    let [best, left] = [found[0], Number.POSITIVE_INFINITY];
    for (const region of found) {
      const away = (region.x - x) ** 2 + (region.y - y) ** 2;
      if (away < left) [best, left] = [region, away];
    }
    best?.points.push(at);
  }
  return found.filter((region) => region.points.length).sort((a, b) => b.points.length - a.points.length);
}
