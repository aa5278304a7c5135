// Finds points near a place, and in a part of the map: points are sorted into the cells of a grid.

import type { Spot } from "./camera";
import type { Points } from "./collection_map";

const PER_CELL = 4;
const MOST_CELLS = 256;

export class Nearby {
  private readonly side: number;
  /** Where the points of each cell begin in `order`. */
  private readonly starts: Uint32Array;
  private readonly order: Uint32Array;

  constructor(private readonly points: Points) {
    const count = points.ids.length;
    this.side = Math.max(1, Math.min(MOST_CELLS, Math.ceil(Math.sqrt(count / PER_CELL))));
    this.starts = new Uint32Array(this.side * this.side + 1);
    this.order = new Uint32Array(count);
    const cells = new Uint32Array(count);
    for (let at = 0; at < count; at++) {
      const cell = this.column(this.x(at)) + this.side * this.column(this.y(at));
      cells[at] = cell;
      this.starts[cell + 1] = (this.starts[cell + 1] as number) + 1;
    }
    for (let cell = 1; cell < this.starts.length; cell++) {
      this.starts[cell] = (this.starts[cell] as number) + (this.starts[cell - 1] as number);
    }
    const next = this.starts.slice();
    for (let at = 0; at < count; at++) {
      const cell = cells[at] as number;
      const place = next[cell] as number;
      this.order[place] = at;
      next[cell] = place + 1;
    }
  }

  /** Return the nearest point within a distance, or −1. */
  nearest({ x, y }: Spot, distance: number): number {
    let [best, left] = [-1, distance * distance];
    for (const at of this.within(x - distance, y - distance, x + distance, y + distance)) {
      const away = (this.x(at) - x) ** 2 + (this.y(at) - y) ** 2;
      if (away <= left) [best, left] = [at, away];
    }
    return best;
  }

  /** Yield the points in a rectangle. */
  *within(left: number, bottom: number, right: number, top: number): Generator<number> {
    const [first, last] = [this.column(left), this.column(right)];
    for (let row = this.column(bottom); row <= this.column(top); row++) {
      const begin = this.starts[row * this.side + first] as number;
      const end = this.starts[row * this.side + last + 1] as number;
      for (let place = begin; place < end; place++) {
        const at = this.order[place] as number;
        const [x, y] = [this.x(at), this.y(at)];
        if (x >= left && x <= right && y >= bottom && y <= top) yield at;
      }
    }
  }

  private column(value: number): number {
    return Math.min(this.side - 1, Math.max(0, Math.floor(((value + 1) / 2) * this.side)));
  }

  private x(at: number): number {
    return this.points.places[2 * at] as number;
  }

  private y(at: number): number {
    return this.points.places[2 * at + 1] as number;
  }
}
