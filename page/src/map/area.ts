// An area that a person drew around images, and its form in the address: "x,y;x,y;…", so that a link shows it too.

import type { Spot } from "./camera";
import type { Points } from "./collection_map";
import type { Nearby } from "./nearby";

const MOST_CORNERS = 40;
const DIGITS = 3;

/** Return the points in an area, in the order in which they were added. */
export function pointsIn(area: readonly Spot[], points: Points, nearby: Nearby): number[] {
  if (area.length < 3) return [];
  const [xs, ys] = [area.map(({ x }) => x), area.map(({ y }) => y)];
  const found: number[] = [];
  for (const at of nearby.within(Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys))) {
    if (isInside(area, points.places[2 * at] as number, points.places[2 * at + 1] as number)) found.push(at);
  }
  return found.sort((a, b) => a - b);
}

/** Whether a place lies inside: a ray from it crosses the border an odd number of times. */
function isInside(area: readonly Spot[], x: number, y: number): boolean {
  let inside = false;
  let before = area[area.length - 1] as Spot;
  for (const corner of area) {
    if (corner.y > y !== before.y > y) {
      const crossing = corner.x + ((y - corner.y) / (before.y - corner.y)) * (before.x - corner.x);
      if (x < crossing) inside = !inside;
    }
    before = corner;
  }
  return inside;
}

/** Write an area with at most 40 corners. */
export function writeArea(area: readonly Spot[]): string {
  const step = Math.max(1, area.length / MOST_CORNERS);
  const kept = Array.from(
    { length: Math.min(area.length, MOST_CORNERS) },
    (_, at) => area[Math.floor(at * step)] as Spot,
  );
  return kept.map(({ x, y }) => `${short(x)},${short(y)}`).join(";");
}

/** Read an area; empty if it is none. */
export function readArea(text: string | null): Spot[] {
  const area = (text ?? "").split(";").map((corner) => {
    const [x, y] = corner.split(",").map(Number.parseFloat);
    return { x: x ?? Number.NaN, y: y ?? Number.NaN };
  });
  return area.length >= 3 && area.every(({ x, y }) => Number.isFinite(x) && Number.isFinite(y)) ? area : [];
}

const short = (value: number): string => String(Number(value.toFixed(DIGITS)));
