// How a picture is enlarged and moved on its stage: numbers only, so that it can be tested without a screen.

/** Where the picture lies: 1 is as large as fits, and x and y move its middle from the middle of the stage. */
export interface Placement {
  scale: number;
  x: number;
  y: number;
}

export interface Size {
  width: number;
  height: number;
}

export const FITTED: Placement = { scale: 1, x: 0, y: 0 };
const LARGEST = 8;

/** The largest size of a picture's proportions that fits on the stage. */
export function fittedSize(picture: Size, stage: Size): Size {
  if (!(picture.width > 0 && picture.height > 0)) return stage;
  const scale = Math.min(stage.width / picture.width, stage.height / picture.height);
  return { width: picture.width * scale, height: picture.height * scale };
}

/** Enlarge by a factor about a point, given from the middle of the stage: what is under the point stays there. */
export function zoomedAt(
  { scale, x, y }: Placement,
  factor: number,
  point: { x: number; y: number },
  fitted: Size,
  stage: Size,
): Placement {
  const larger = Math.min(LARGEST, Math.max(1, scale * factor));
  const ratio = larger / scale;
  return kept({ scale: larger, x: point.x - (point.x - x) * ratio, y: point.y - (point.y - y) * ratio }, fitted, stage);
}

/** Move so that no edge of an enlarged picture comes inside the stage, and one that fits stays in the middle. */
export function kept({ scale, x, y }: Placement, fitted: Size, stage: Size): Placement {
  const room = (length: number, whole: number) => Math.max(0, (length * scale - whole) / 2);
  const [wide, high] = [room(fitted.width, stage.width), room(fitted.height, stage.height)];
  return { scale, x: Math.min(wide, Math.max(-wide, x)), y: Math.min(high, Math.max(-high, y)) };
}

/** The factor at which one pixel of the picture is one of the screen, or twice as large as fits if that is smaller. */
export function trueScale(picture: Size, fitted: Size, pixelRatio: number): number {
  return Math.min(LARGEST, Math.max(2, picture.width / Math.max(1, fitted.width * pixelRatio)));
}
