import { describe, expect, it } from "vitest";
import { FITTED, fittedSize, kept, trueScale, zoomedAt } from "../../src/image/zoom";

const stage = { width: 1_000, height: 800 };

describe("a picture on its stage", () => {
  it("is as large as fits, in its proportions", () => {
    expect(fittedSize({ width: 4_000, height: 2_000 }, stage)).toEqual({ width: 1_000, height: 500 });
    expect(fittedSize({ width: 100, height: 400 }, stage)).toEqual({ width: 200, height: 800 });
    expect(fittedSize({ width: 0, height: 0 }, stage)).toEqual(stage);
  });

  it("keeps what is under the pointer where it is while it grows and shrinks", () => {
    const fitted = fittedSize({ width: 4_000, height: 3_200 }, stage);
    const point = { x: 120, y: -80 };
    let at = FITTED;
    for (const factor of [1.5, 1.4, 0.9]) {
      const under = { x: (point.x - at.x) / at.scale, y: (point.y - at.y) / at.scale };
      at = zoomedAt(at, factor, point, fitted, stage);
      expect((point.x - at.x) / at.scale).toBeCloseTo(under.x);
      expect((point.y - at.y) / at.scale).toBeCloseTo(under.y);
    }
  });

  it("is back in the middle when it fits again", () => {
    const fitted = fittedSize({ width: 400, height: 200 }, stage);
    const enlarged = zoomedAt(FITTED, 3, { x: 400, y: 100 }, fitted, stage);
    const fits = zoomedAt(enlarged, 0.01, { x: -300, y: 0 }, fitted, stage);
    expect([fits.scale, Math.abs(fits.x), Math.abs(fits.y)]).toEqual([1, 0, 0]);
  });

  it("cannot be dragged off the stage", () => {
    const fitted = { width: 1_000, height: 500 };
    expect(kept({ scale: 2, x: 9_999, y: -9_999 }, fitted, stage)).toEqual({ scale: 2, x: 500, y: -100 });
    expect(kept({ scale: 1.2, x: 0, y: 50 }, fitted, stage).y).toBe(0);
  });

  it("grows to its true size at once, or at least to twice what fits", () => {
    expect(trueScale({ width: 6_000, height: 1 }, { width: 1_000, height: 1 }, 2)).toBe(3);
    expect(trueScale({ width: 300, height: 1 }, { width: 1_000, height: 1 }, 1)).toBe(2);
  });
});
