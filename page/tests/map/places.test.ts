import { expect, test } from "vitest";
import { pointsIn, readArea, writeArea } from "../../src/map/area";
import { Camera } from "../../src/map/camera";
import type { Points } from "../../src/map/collection_map";
import { Nearby } from "../../src/map/nearby";
import { labelsIn, thumbnailsIn } from "../../src/map/overlay";
import { regionsOf } from "../../src/map/regions";

/** Points on a square grid. */
function grid(side: number): Points {
  const places = new Float32Array(side * side * 2);
  for (let at = 0; at < side * side; at++) {
    places[2 * at] = -1 + (2 * (at % side)) / (side - 1);
    places[2 * at + 1] = -1 + (2 * Math.floor(at / side)) / (side - 1);
  }
  return { ids: Array.from({ length: side * side }, (_, at) => `i${at}`), places };
}

function camera(zoom = 1): Camera {
  const made = new Camera();
  Object.assign(made, { width: 800, height: 600, zoom });
  return made;
}

test("a place goes to the screen and back", () => {
  const seen = camera(3);
  seen.moveBy(40, -25);
  const { x, y } = seen.toMap(seen.toScreen(0.3, -0.2));
  expect(x).toBeCloseTo(0.3);
  expect(y).toBeCloseTo(-0.2);
});

test("what is under the pointer stays there when one zooms", () => {
  const seen = camera();
  const under = seen.toMap({ x: 500, y: 350 });
  seen.zoomBy(4, { x: 500, y: 350 });
  const { x, y } = seen.toScreen(under.x, under.y);
  expect(x).toBeCloseTo(500);
  expect(y).toBeCloseTo(350);
});

test("the map cannot be lost: neither too far, nor too small", () => {
  const seen = camera();
  seen.moveBy(1e6, 1e6);
  seen.zoomBy(1e-6);
  expect(seen.middle).toEqual({ x: -1, y: 1 });
  expect(seen.zoom).toBe(1);
});

test("the nearest point is found, if it is near enough", () => {
  const points = grid(50);
  const nearby = new Nearby(points);
  for (const at of [0, 49, 777, 2499]) {
    const spot = { x: (points.places[2 * at] as number) + 0.004, y: (points.places[2 * at + 1] as number) - 0.004 };
    expect(nearby.nearest(spot, 0.01)).toBe(at);
    expect(nearby.nearest(spot, 0.001)).toBe(-1);
  }
});

test("no point and one point are found too", () => {
  expect([...new Nearby({ ids: [], places: new Float32Array() }).within(-1, -1, 1, 1)]).toEqual([]);
  expect(new Nearby({ ids: ["a"], places: new Float32Array([1, 1]) }).nearest({ x: 1, y: 1 }, 0.1)).toBe(0);
});

test("the points in an area are those inside its border, hollows left out", () => {
  const points = grid(11);
  const nearby = new Nearby(points);
  const square = [
    { x: -0.5, y: -0.5 },
    { x: 0.5, y: -0.5 },
    { x: 0.5, y: 0.5 },
    { x: -0.5, y: 0.5 },
  ];
  expect(pointsIn(square, points, nearby)).toHaveLength(25);
  expect(pointsIn([...square.slice(0, 3), { x: 0, y: -0.3 }], points, nearby).length).toBeLessThan(13);
  expect(pointsIn(square.slice(0, 2), points, nearby)).toEqual([]);
});

test("an area survives the address, with fewer corners", () => {
  const area = Array.from({ length: 300 }, (_, at) => ({ x: Math.cos(at / 50), y: Math.sin(at / 50) }));
  const read = readArea(writeArea(area));
  expect(read).toHaveLength(40);
  expect(read[0]).toEqual({ x: 1, y: 0 });
  expect(readArea("1,2;nonsense;3,4")).toEqual([]);
  expect(readArea(null)).toEqual([]);
});

test("a point belongs to the region with the nearest middle, and empty regions are left out", () => {
  const points = grid(10);
  const region = (x: number, imageId: string) => ({ words: [imageId], x, y: 0, imageId, imageCount: 1n }) as never;
  const found = regionsOf([region(-0.8, "left"), region(0.5, "right"), region(99, "nowhere")], points);
  expect(found.map(({ id }) => id)).toEqual(["right", "left"]);
  expect(found.reduce((sum, each) => sum + each.points.length, 0)).toBe(100);
});

test("labels cover no other; the larger region keeps its own", () => {
  const region = (id: string, x: number) => ({ id, words: [id], x, y: 0, points: [] });
  const regions = [region("large", 0), region("hidden", 0.06), region("beside", 0.6)];
  expect(labelsIn(regions, camera()).map(({ what }) => what.id)).toEqual(["large", "beside"]);
  expect(labelsIn(regions, camera(4)).map(({ what }) => what.id)).toEqual(["large", "hidden"]);
});

test("thumbnails appear where there is room, and moving the map changes none that stays in sight", () => {
  const points = grid(100);
  const nearby = new Nearby(points);
  expect(thumbnailsIn(points, nearby, camera())).toEqual([]);
  const close = camera(10);
  const before = thumbnailsIn(points, nearby, close);
  expect(before.length).toBeGreaterThan(10);
  close.moveBy(30, 20);
  const after = new Set(thumbnailsIn(points, nearby, close).map(({ what }) => what));
  const inside = before.filter(({ x, y }) => x > 150 && y > 150 && x < 650 && y < 450);
  expect(inside.every(({ what }) => after.has(what))).toBe(true);
});
