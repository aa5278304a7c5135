// Lays out pictures in justified rows: each row fills the width, and each picture keeps its proportions. Rows that are
// full never change when more pictures arrive, so nothing that is on the screen moves.

export interface Size {
  width: number;
  height: number;
}

export interface Row {
  top: number;
  height: number;
  /** The pictures from `first` (included) to `end` (excluded). */
  first: number;
  end: number;
  /** The pictures' left edges and widths. */
  lefts: number[];
  widths: number[];
}

export interface LayoutOptions {
  width: number;
  /** The height that rows come near to. */
  target: number;
  gap: number;
}

// Panoramas and strips are cropped to these proportions, or they would get a row of their own, or no width.
const WIDEST = 2.8;
const NARROWEST = 0.45;

/** The proportions in which a picture is shown. */
export function proportion({ width, height }: Size): number {
  return width > 0 && height > 0 ? Math.min(WIDEST, Math.max(NARROWEST, width / height)) : 1;
}

export class Layout {
  readonly rows: Row[] = [];
  private waiting: number[] = [];
  private waitingFirst = 0;
  private waitingSum = 0;
  private bottom = 0;

  constructor(readonly options: LayoutOptions) {}

  /** Number of pictures, in rows or waiting for theirs to be full. */
  get count(): number {
    return this.waitingFirst + this.waiting.length;
  }

  /** Height of all full rows. */
  get height(): number {
    return this.bottom;
  }

  /** Add pictures behind the others; `last` means that no more will come, so the last row need not be full. */
  add(sizes: Iterable<Size>, last: boolean): void {
    for (const size of sizes) {
      const shape = proportion(size);
      this.waiting.push(shape);
      this.waitingSum += shape;
      if (this.heightIfFull() <= this.options.target) this.close(this.heightIfFull());
    }
    if (last && this.waiting.length) this.close(Math.min(this.heightIfFull(), this.options.target));
  }

  /** Return the rows that show between two heights. */
  between(top: number, bottom: number): Row[] {
    const first = this.indexAt(top);
    const shown: Row[] = [];
    for (let index = first; index < this.rows.length; index += 1) {
      const row = this.rows[index];
      if (!row || row.top >= bottom) break;
      shown.push(row);
    }
    return shown;
  }

  /** Return the row that holds a picture. */
  rowOf(picture: number): Row | undefined {
    const index = lowest(this.rows.length, (at) => (this.rows[at] as Row).end > picture);
    return this.rows[index];
  }

  /** Return the picture above or below another, the one whose middle is nearest. */
  beside(picture: number, step: 1 | -1): number {
    const row = this.rowOf(picture);
    if (!row) return picture;
    const other = this.rows[this.rows.indexOf(row) + step];
    if (!other) return picture;
    const middle = (row.lefts[picture - row.first] ?? 0) + (row.widths[picture - row.first] ?? 0) / 2;
    let best = 0;
    let distance = Number.POSITIVE_INFINITY;
    other.lefts.forEach((left, at) => {
      const far = Math.abs(left + (other.widths[at] ?? 0) / 2 - middle);
      if (far < distance) [best, distance] = [at, far];
    });
    return other.first + best;
  }

  private heightIfFull(): number {
    return (this.options.width - this.options.gap * (this.waiting.length - 1)) / this.waitingSum;
  }

  private close(height: number): void {
    const { width, gap } = this.options;
    const lefts: number[] = [];
    const widths: number[] = [];
    let left = 0;
    const isFull = height === this.heightIfFull();
    this.waiting.forEach((shape, at) => {
      // Whole pixels, without a gap at the right edge.
      const end = isFull && at === this.waiting.length - 1 ? width : Math.round(left + shape * height);
      lefts.push(left);
      widths.push(end - left);
      left = end + gap;
    });
    const tall = Math.round(height);
    this.rows.push({
      top: this.bottom,
      height: tall,
      first: this.waitingFirst,
      end: this.waitingFirst + this.waiting.length,
      lefts,
      widths,
    });
    this.bottom += tall + gap;
    this.waitingFirst += this.waiting.length;
    this.waiting = [];
    this.waitingSum = 0;
  }

  private indexAt(height: number): number {
    return lowest(this.rows.length, (at) => {
      const row = this.rows[at] as Row;
      return row.top + row.height > height;
    });
  }
}

/** Return the first number below `count` for which a condition holds that holds for all after it, else `count`. */
function lowest(count: number, holds: (at: number) => boolean): number {
  let [low, high] = [0, count];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
