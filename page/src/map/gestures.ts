// Moving and zooming by mouse, touch and keys, and drawing around images.

import type { Spot } from "./camera";
import type { Drawing } from "./drawing";

const WHEEL_SPEED = 0.0018;
const KEY_STEP = 80;
const KEY_ZOOM = 1.5;
// A press that moves no further is a click.
const CLICK_PIXELS = 4;

export interface Actions {
  /** Whether the person wants to draw around images. */
  isDrawing: () => boolean;
  /** The border so far, in pixels. */
  onBorder: (border: readonly Spot[]) => void;
  /** The border is closed. */
  onArea: (border: readonly Spot[]) => void;
  onClick: (spot: Spot) => void;
  /** The pointer is over a spot, or over none. */
  onHover: (spot: Spot | null) => void;
}

/** Listen on an element; return what ends it. */
export function listen(element: HTMLElement, drawing: Drawing, actions: Actions): () => void {
  const { camera } = drawing;
  const pressed = new Map<number, Spot>();
  let border: Spot[] | null = null;
  let travelled = 0;

  const spotOf = (event: MouseEvent): Spot => {
    const box = element.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const handlers: { [name: string]: (event: never) => void } = {
    wheel(event: WheelEvent) {
      event.preventDefault();
      const pixels = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1);
      camera.zoomBy(Math.exp(-pixels * WHEEL_SPEED), spotOf(event));
      drawing.refresh();
    },
    pointerdown(event: PointerEvent) {
      if (event.button !== 0) return;
      const spot = spotOf(event);
      travelled = 0;
      border = pressed.size === 0 && (actions.isDrawing() || event.shiftKey) ? [spot] : null;
      pressed.set(event.pointerId, spot);
    },
    pointermove(event: PointerEvent) {
      const spot = spotOf(event);
      const before = pressed.get(event.pointerId);
      if (!before) return actions.onHover(event.pointerType === "mouse" ? spot : null);
      travelled += Math.hypot(spot.x - before.x, spot.y - before.y);
      // Not before it moves: a captured pointer would take clicks away from the links on the map.
      if (travelled > CLICK_PIXELS) element.setPointerCapture(event.pointerId);
      if (border) {
        border.push(spot);
        actions.onBorder(border);
      } else {
        const other = [...pressed].find(([id]) => id !== event.pointerId)?.[1];
        if (other) {
          const [was, is] = [distance(before, other), distance(spot, other)];
          camera.zoomBy(is / Math.max(was, 1), other);
        } else camera.moveBy(spot.x - before.x, spot.y - before.y);
        drawing.refresh();
      }
      pressed.set(event.pointerId, spot);
    },
    pointerup(event: PointerEvent) {
      if (!pressed.delete(event.pointerId)) return;
      if (border && travelled > CLICK_PIXELS) actions.onArea(border);
      else if (travelled <= CLICK_PIXELS && !isOnLink(event)) actions.onClick(spotOf(event));
      border = null;
    },
    pointercancel(event: PointerEvent) {
      pressed.delete(event.pointerId);
      border = null;
      actions.onBorder([]);
    },
    pointerleave() {
      actions.onHover(null);
    },
    dblclick(event: MouseEvent) {
      camera.zoomBy(2, spotOf(event));
      drawing.refresh();
    },
    keydown(event: KeyboardEvent) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const act = KEYS[event.key];
      if (!act) return;
      event.preventDefault();
      act(drawing);
      drawing.refresh();
    },
  };
  for (const [name, handler] of Object.entries(handlers)) {
    element.addEventListener(name, handler as unknown as EventListener, { passive: false });
  }
  return () => {
    for (const [name, handler] of Object.entries(handlers)) {
      element.removeEventListener(name, handler as unknown as EventListener);
    }
  };
}

const KEYS: Record<string, (drawing: Drawing) => void> = {
  ArrowLeft: ({ camera }) => camera.moveBy(KEY_STEP, 0),
  ArrowRight: ({ camera }) => camera.moveBy(-KEY_STEP, 0),
  ArrowUp: ({ camera }) => camera.moveBy(0, KEY_STEP),
  ArrowDown: ({ camera }) => camera.moveBy(0, -KEY_STEP),
  "+": ({ camera }) => camera.zoomBy(KEY_ZOOM),
  "=": ({ camera }) => camera.zoomBy(KEY_ZOOM),
  "-": ({ camera }) => camera.zoomBy(1 / KEY_ZOOM),
  "0": ({ camera }) => camera.showEverything(),
};

const isOnLink = ({ target }: Event): boolean => target instanceof Element && target.closest("a") !== null;

const distance = (a: Spot, b: Spot): number => Math.hypot(a.x - b.x, a.y - b.y);
