import { expect, test } from "vitest";
import { Layout, type Size } from "../../src/results/layout";

const OPTIONS = { width: 1000, target: 200, gap: 6 };
const sizes: Size[] = Array.from({ length: 500 }, (_, at) => ({ width: 100 + ((at * 37) % 300), height: 200 }));

function laidOut(pictures: readonly Size[], last = true): Layout {
  const layout = new Layout(OPTIONS);
  layout.add(pictures, last);
  return layout;
}

test("rows fill the width, and follow each other without gaps or overlaps", () => {
  const { rows } = laidOut(sizes);
  for (const [at, row] of rows.entries()) {
    const last = row.lefts.length - 1;
    if (at < rows.length - 1) expect((row.lefts[last] ?? 0) + (row.widths[last] ?? 0)).toBe(OPTIONS.width);
    expect(row.first).toBe(rows[at - 1]?.end ?? 0);
    expect(row.top).toBe(at ? (rows[at - 1]?.top ?? 0) + (rows[at - 1]?.height ?? 0) + OPTIONS.gap : 0);
  }
  expect(rows.at(-1)?.end).toBe(sizes.length);
});

test("pictures keep their proportions", () => {
  for (const row of laidOut(sizes).rows) {
    row.widths.forEach((width, at) => {
      const { width: wide, height: high } = sizes[row.first + at] as Size;
      expect(Math.abs(width / row.height - wide / high)).toBeLessThan(0.03);
    });
  }
});

test("rows that are there stay as they are when more pictures come", () => {
  const layout = new Layout(OPTIONS);
  layout.add(sizes.slice(0, 100), false);
  const before = structuredClone(layout.rows);
  layout.add(sizes.slice(100), true);
  expect(layout.rows.slice(0, before.length)).toEqual(before);
  expect(layout.rows).toEqual(laidOut(sizes).rows);
});

test("only rows in sight are returned", () => {
  const layout = laidOut(sizes);
  const shown = layout.between(1000, 1500);
  expect(shown[0]?.top).toBeLessThanOrEqual(1000);
  expect(shown.every((row) => row.top + row.height > 1000 && row.top < 1500)).toBe(true);
  expect(shown.length).toBeGreaterThan(1);
});

test("the picture below is the one under the middle, and back again", () => {
  const layout = laidOut(sizes.map(() => ({ width: 1, height: 1 })));
  const below = layout.beside(2, 1);
  expect(layout.rowOf(below)).toBe(layout.rows[1]);
  expect(layout.beside(below, -1)).toBe(2);
  expect(layout.beside(0, -1)).toBe(0);
});

test("a picture without a size, a strip and a panorama get a place", () => {
  const layout = laidOut([
    { width: 0, height: 0 },
    { width: 10, height: 9000 },
    { width: 9000, height: 10 },
  ]);
  expect(layout.rows.flatMap(({ widths }) => widths).every((width) => width > 0)).toBe(true);
});
