// What is drawn and when: a frame only if something changed. Positions of labels and thumbnails follow in the same
// frame, so nothing lags behind the points.

import { Camera } from "./camera";
import type { Points } from "./collection_map";
import { CHOSEN, type Color, HIT, PLAIN, PointLayer } from "./point_layer";

const MOVE_MS = 900;

export class Drawing {
  readonly camera = new Camera();
  private points: Points | null = null;
  private start: Float32Array = new Float32Array();
  private moveBegan = Number.NEGATIVE_INFINITY;
  private hits: readonly number[] = [];
  private chosen: readonly number[] = [];
  private frame = 0;
  private readonly ended = new AbortController();

  private constructor(
    private readonly canvas: HTMLCanvasElement,
    private layer: PointLayer,
    /** Called in each frame, after the points are drawn. */
    private readonly onFrame: () => void,
  ) {
    const { signal } = this.ended;
    // The system may take the graphics memory away at any time, and returns it later.
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault(), { signal });
    canvas.addEventListener("webglcontextrestored", () => this.begin(), { signal });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.refresh(), { signal });
  }

  /** Return a drawing on a canvas, or null if the browser cannot draw it. */
  static on(canvas: HTMLCanvasElement, onFrame: () => void): Drawing | null {
    const layer = PointLayer.on(canvas);
    return layer && new Drawing(canvas, layer, onFrame);
  }

  /** Show points. Those that were there before move to their new places. */
  show(points: Points): void {
    const before = this.points;
    this.start = before ? startsFor(points, before) : points.places;
    this.moveBegan = before && !prefersStillness() ? performance.now() : Number.NEGATIVE_INFINITY;
    this.points = points;
    this.place();
  }

  light(hits: readonly number[]): void {
    this.hits = hits;
    this.setLooks();
  }

  choose(chosen: readonly number[]): void {
    this.chosen = chosen;
    this.setLooks();
  }

  resize(width: number, height: number): void {
    this.camera.width = Math.max(1, width);
    this.camera.height = Math.max(1, height);
    this.canvas.width = Math.round(width * devicePixelRatio);
    this.canvas.height = Math.round(height * devicePixelRatio);
    this.refresh();
  }

  /** Draw in the next frame. */
  refresh(): void {
    this.frame ||= requestAnimationFrame(() => this.draw());
  }

  stop(): void {
    cancelAnimationFrame(this.frame);
    this.ended.abort();
  }

  private begin(): void {
    const layer = PointLayer.on(this.canvas);
    if (!layer) return;
    this.layer = layer;
    this.place();
  }

  private place(): void {
    if (this.points) this.layer.place(this.start, this.points.places);
    this.setLooks();
  }

  private setLooks(): void {
    const looks = new Uint8Array(this.points?.ids.length ?? 0).fill(PLAIN);
    for (const at of this.hits) looks[at] = HIT;
    for (const at of this.chosen) looks[at] = CHOSEN;
    this.layer.look(looks);
    this.refresh();
  }

  private draw(): void {
    this.frame = 0;
    const share = Math.min(1, (performance.now() - this.moveBegan) / MOVE_MS);
    // Slow at both ends.
    const moved = share * share * (3 - 2 * share);
    const dimmed = this.hits.length + this.chosen.length > 0;
    this.layer.draw(this.camera, devicePixelRatio, moved, dimmed, colorsOf(this.canvas));
    this.onFrame();
    if (share < 1) this.refresh();
  }
}

/** Return where points come from: their places before, or their own if they are new. */
function startsFor(points: Points, before: Points): Float32Array {
  const places = points.places.slice();
  const known = new Map(before.ids.map((id, at) => [id, at]));
  points.ids.forEach((id, at) => {
    const old = known.get(id);
    if (old !== undefined) places.set(before.places.subarray(2 * old, 2 * old + 2), 2 * at);
  });
  return places;
}

const prefersStillness = (): boolean => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** Return the colours of the page, light or dark: plain, hit, chosen. */
function colorsOf(element: Element): [Color, Color, Color] {
  const style = getComputedStyle(element);
  return [parse(style.color), parse(style.borderTopColor), parse(style.outlineColor)];
}

function parse(color: string): Color {
  const [red, green, blue] = color.match(/[\d.]+/g)?.map(Number) ?? [];
  return [(red ?? 0) / 255, (green ?? 0) / 255, (blue ?? 0) / 255];
}
