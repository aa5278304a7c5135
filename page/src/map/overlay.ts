// Chooses the labels and thumbnails that there is room for.

import type { Camera } from "./camera";
import type { Points } from "./collection_map";
import type { Nearby } from "./nearby";
import type { Region } from "./regions";

const LABEL_HEIGHT = 26;
const CHARACTER_WIDTH = 8;
const LABEL_PADDING = 18;
export const THUMBNAIL = 72;
// Where more points are in sight, thumbnails would hide them.
const MOST_IN_SIGHT = 600;
// The most points that one thumbnail stands for, on average.
const MOST_HIDDEN = 6;

export interface Placed<T> {
  what: T;
  x: number;
  y: number;
}

/** Return the labels that cover no other, those of large regions first. */
export function labelsIn(regions: readonly Region[], camera: Camera): Placed<Region>[] {
  const placed: (Placed<Region> & { half: number })[] = [];
  for (const region of regions) {
    if (!region.words.length) continue;
    const { x, y } = camera.toScreen(region.x, region.y);
    if (x < 0 || y < 0 || x > camera.width || y > camera.height) continue;
    const half = ((region.words[0] as string).length * CHARACTER_WIDTH + LABEL_PADDING) / 2;
    const isFree = placed.every(
      (other) => Math.abs(other.x - x) > other.half + half || Math.abs(other.y - y) > LABEL_HEIGHT,
    );
    if (isFree) placed.push({ what: region, x, y, half });
  }
  return placed;
}

/** Return the points that get a thumbnail: one in each square of the map, so that moving it changes none. There are none
 * where they would hide many others. */
export function thumbnailsIn(points: Points, nearby: Nearby, camera: Camera): Placed<number>[] {
  const [left, right] = [camera.toMap({ x: 0, y: 0 }), camera.toMap({ x: camera.width, y: camera.height })];
  const inSight: number[] = [];
  for (const at of nearby.within(left.x, right.y, right.x, left.y)) {
    if (inSight.length === MOST_IN_SIGHT) return [];
    inSight.push(at);
  }
  // Squares double in size, so that zooming a little changes none either.
  const side = 2 ** Math.ceil(Math.log2(THUMBNAIL / camera.scale));
  const chosen = new Map<string, number>();
  for (const at of inSight.sort((a, b) => a - b)) {
    const [x, y] = [points.places[2 * at] as number, points.places[2 * at + 1] as number];
    const square = `${Math.floor(x / side)},${Math.floor(y / side)}`;
    if (!chosen.has(square)) chosen.set(square, at);
  }
  if (chosen.size * MOST_HIDDEN < inSight.length) return [];
  return [...chosen.values()].map((at) => ({
    what: at,
    ...camera.toScreen(points.places[2 * at] as number, points.places[2 * at + 1] as number),
  }));
}
