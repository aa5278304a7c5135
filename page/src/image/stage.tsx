// The picture, as large as fits. Wheel, pinch, double click and + − 0 zoom; dragging moves it; a swipe shows the next
// one. The thumbnail is shown at once, and the original over it as soon as it is loaded. Why there is no library for
// this: docs/decisions/0029-the-page.md.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { versionAddress } from "../api/images";
import { useShortcuts } from "../frame/shortcuts";
import type { Image } from "../gen/semsearch/v1/image_pb";
import { nameOf } from "../results/names";
import { text } from "./text";
import { FITTED, fittedSize, kept, type Placement, trueScale, zoomedAt } from "./zoom";

const STEP = 1.5;
const SWIPE = 60;

interface Properties {
  image: Image;
  /** Turn to the next picture (1) or the previous one (−1). */
  onTurn: (step: 1 | -1) => void;
}

export function Stage({ image, onTurn }: Properties) {
  const place = useRef<HTMLDivElement>(null);
  const stage = useSignal({ width: 0, height: 0 });
  const at = useSignal<Placement>(FITTED);
  const original = useSignal<"coming" | "there" | "not shown">("coming");
  const pointers = useRef(new Map<number, { x: number; y: number }>());
  const start = useRef({ x: 0, y: 0 });

  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const observer = new ResizeObserver(() => {
      stage.value = { width: element.clientWidth, height: element.clientHeight };
      at.value = FITTED;
    });
    observer.observe(element);
    // Only a listener that is not passive can keep the page from scrolling and zooming.
    const wheel = (event: WheelEvent) => {
      event.preventDefault();
      zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)), event);
    };
    element.addEventListener("wheel", wheel, { passive: false });
    return () => {
      observer.disconnect();
      element.removeEventListener("wheel", wheel);
    };
  }, []);

  const fitted = fittedSize(image, stage.value);
  const current = useRef(fitted);
  current.current = fitted;

  const zoom = (factor: number, about?: { clientX: number; clientY: number }) => {
    const bounds = place.current?.getBoundingClientRect();
    const point =
      about && bounds
        ? { x: about.clientX - bounds.left - bounds.width / 2, y: about.clientY - bounds.top - bounds.height / 2 }
        : { x: 0, y: 0 };
    at.value = zoomedAt(at.value, factor, point, current.current, stage.value);
  };
  useShortcuts({
    "+": () => zoom(STEP),
    "=": () => zoom(STEP),
    "-": () => zoom(1 / STEP),
    "0": () => {
      at.value = FITTED;
    },
  });

  const down = (event: PointerEvent) => {
    if (event.button !== 0 || (event.target as Element).closest("button, a")) return;
    place.current?.setPointerCapture(event.pointerId);
    pointers.current.set(event.pointerId, { x: event.clientX, y: event.clientY });
    start.current = { x: event.clientX, y: event.clientY };
  };
  const move = (event: PointerEvent) => {
    const before = pointers.current.get(event.pointerId);
    if (!before) return;
    const other = [...pointers.current].find(([id]) => id !== event.pointerId)?.[1];
    pointers.current.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (other) {
      const apart = (x: number, y: number) => Math.max(1, Math.hypot(x - other.x, y - other.y));
      const middle = { clientX: (event.clientX + other.x) / 2, clientY: (event.clientY + other.y) / 2 };
      zoom(apart(event.clientX, event.clientY) / apart(before.x, before.y), middle);
    } else if (at.value.scale > 1) {
      const { scale, x, y } = at.value;
      const moved = { scale, x: x + event.clientX - before.x, y: y + event.clientY - before.y };
      at.value = kept(moved, current.current, stage.value);
    }
  };
  const up = (event: PointerEvent) => {
    if (!pointers.current.delete(event.pointerId) || pointers.current.size) return;
    const across = event.clientX - start.current.x;
    const along = event.clientY - start.current.y;
    const isSwipe = event.pointerType !== "mouse" && Math.abs(across) > SWIPE && Math.abs(across) > 2 * Math.abs(along);
    if (isSwipe && at.value.scale === 1) onTurn(across < 0 ? 1 : -1);
  };
  const toggle = (event: MouseEvent) => {
    if (at.value.scale > 1) at.value = FITTED;
    else zoom(trueScale(image, current.current, devicePixelRatio), event);
  };

  const { scale, x, y } = at.value;
  const style = {
    width: `${fitted.width}px`,
    height: `${fitted.height}px`,
    transform: `translate(-50%, -50%) translate(${x}px, ${y}px) scale(${scale})`,
  };
  const name = nameOf(image);
  const hasOriginal = !image.originalAt && original.value !== "not shown";
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: keys do the same, and dragging has no role
    <div
      ref={place}
      class={`stage${scale > 1 ? " zoomed" : ""}`}
      onPointerDown={down}
      onPointerMove={move}
      onPointerUp={up}
      onPointerCancel={(event) => pointers.current.delete(event.pointerId)}
      onDblClick={toggle}
    >
      <img
        class="stage-picture"
        src={versionAddress(image, "thumbnail")}
        alt={hasOriginal && original.value === "there" ? "" : name}
        style={style}
        draggable={false}
      />
      {hasOriginal && (
        <img
          class={`stage-picture original${original.value === "there" ? " there" : ""}`}
          src={versionAddress(image, "original")}
          alt={original.value === "there" ? name : ""}
          style={style}
          draggable={false}
          decoding="async"
          onLoad={() => {
            original.value = "there";
          }}
          onError={() => {
            original.value = "not shown";
          }}
        />
      )}
      {!hasOriginal && <p class="stage-note">{image.originalAt ? text.previewOnly : text.notShown}</p>}
    </div>
  );
}
