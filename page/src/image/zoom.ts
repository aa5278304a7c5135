// The geometry of zooming: numbers only, so that tests need no screen.

/** The place of the picture: at scale 1 it fits the stage; x and y are the offset from the middle of the stage. */
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

/** Zoom by a factor about a point, which is relative to the middle of the stage and stays where it is. */
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

/** Limit the offset: a picture that is larger than the stage covers it, and one that fits is centred. */
export function kept({ scale, x, y }: Placement, fitted: Size, stage: Size): Placement {
  const room = (length: number, whole: number) => Math.max(0, (length * scale - whole) / 2);
  const [wide, high] = [room(fitted.width, stage.width), room(fitted.height, stage.height)];
  return { scale, x: Math.min(wide, Math.max(-wide, x)), y: Math.min(high, Math.max(-high, y)) };
}

/** Return the scale that shows each pixel of the picture as one of the screen, but at least 2. */
export function trueScale(picture: Size, fitted: Size, pixelRatio: number): number {
  return Math.min(LARGEST, Math.max(2, picture.width / Math.max(1, fitted.width * pixelRatio)));
}
