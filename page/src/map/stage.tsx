// The map itself: points, and over them the words of regions, thumbnails where there is room, and what is being drawn.

import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { imageAddress } from "../api/images";
import { Icon } from "../frame/icons";
import { useShortcuts } from "../frame/shortcuts";
import { go, hrefOf } from "../state/address";
import { writeArea } from "./area";
import type { Spot } from "./camera";
import type { Points } from "./collection_map";
import { Drawing } from "./drawing";
import { listen } from "./gestures";
import { Nearby } from "./nearby";
import { labelsIn, type Placed, THUMBNAIL, thumbnailsIn } from "./overlay";
import type { Region } from "./regions";
import { text } from "./text";

const REACH_PIXELS = 12;

interface Properties {
  collection: string;
  points: Points;
  regions: readonly Region[];
  hits: readonly number[];
  chosen: readonly number[];
}

export function Stage({ collection, points, regions, hits, chosen }: Properties) {
  const host = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const drawing = useRef<Drawing | null>(null);
  const cannotDraw = useSignal(false);
  const labels = useSignal<Placed<Region>[]>([]);
  const thumbnails = useSignal<Placed<number>[]>([]);
  const under = useSignal<Placed<number> | null>(null);
  const border = useSignal<readonly Spot[]>([]);
  const isDrawing = useSignal(false);

  const nearby = useMemo(() => new Nearby(points), [points]);
  const shown = useRef({ points, regions, nearby });
  shown.current = { points, regions, nearby };

  const pointAt = (spot: Spot): number => {
    const { camera } = drawing.current as Drawing;
    return shown.current.nearby.nearest(camera.toMap(spot), REACH_PIXELS / camera.scale);
  };

  useEffect(() => {
    const [stage, surface] = [host.current as HTMLDivElement, canvas.current as HTMLCanvasElement];
    const made = Drawing.on(surface, () => {
      const { points, regions, nearby } = shown.current;
      labels.value = labelsIn(regions, made?.camera as Drawing["camera"]);
      thumbnails.value = thumbnailsIn(points, nearby, made?.camera as Drawing["camera"]);
      under.value = null;
    });
    drawing.current = made;
    cannotDraw.value = !made;
    if (!made) return;
    const observer = new ResizeObserver(() => made.resize(stage.clientWidth, stage.clientHeight));
    observer.observe(stage);
    const stop = listen(stage, made, {
      isDrawing: () => isDrawing.value,
      onBorder: (spots) => {
        border.value = [...spots];
      },
      onArea: (spots) => {
        border.value = [];
        isDrawing.value = false;
        go({ area: writeArea(spots.map((spot) => made.camera.toMap(spot))), region: null });
      },
      onClick: (spot) => {
        border.value = [];
        const at = pointAt(spot);
        if (at >= 0) go({ image: shown.current.points.ids[at] as string });
      },
      onHover: (spot) => {
        const at = spot ? pointAt(spot) : -1;
        under.value = at < 0 || !spot ? null : { what: at, ...spot };
      },
    });
    return () => {
      stop();
      observer.disconnect();
      made.stop();
    };
  }, []);
  useEffect(() => drawing.current?.show(points), [points]);
  useEffect(() => drawing.current?.light(hits), [hits, points]);
  useEffect(() => drawing.current?.choose(chosen), [chosen, points]);
  useEffect(() => drawing.current?.refresh(), [regions]);

  const toggleDrawing = () => {
    isDrawing.value = !isDrawing.value;
  };
  useShortcuts({ l: toggleDrawing });
  const change = (act: (camera: Drawing["camera"]) => void) => () => {
    if (!drawing.current) return;
    act(drawing.current.camera);
    drawing.current.refresh();
  };
  const thumbnail = (at: number) => imageAddress(collection, points.ids[at] as string, "thumbnail");

  if (cannotDraw.value) return <p role="alert">{text.noDrawing}</p>;
  return (
    <div class="map-frame">
      <div
        class={isDrawing.value ? "map-stage drawing" : "map-stage"}
        ref={host}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: keys move the map.
        tabIndex={0}
        role="application"
        aria-label={text.map}
        aria-describedby="map-keys"
      >
        <canvas ref={canvas} class="map-points" />
        <div class="map-over" aria-hidden="true">
          {thumbnails.value.map(({ what, x, y }) => (
            <img
              key={points.ids[what]}
              class="map-thumbnail"
              src={thumbnail(what)}
              alt=""
              decoding="async"
              draggable={false}
              style={{ transform: `translate(${x - THUMBNAIL / 2}px, ${y - THUMBNAIL / 2}px)` }}
            />
          ))}
          {labels.value.map(({ what, x, y }) => (
            <a
              key={what.id}
              class="map-label"
              href={hrefOf({ region: what.id, area: null })}
              tabIndex={-1}
              draggable={false}
              style={{ transform: `translate(${x}px, ${y}px) translate(-50%, 8px)` }}
            >
              {what.words[0]}
            </a>
          ))}
          {under.value && !isDrawing.value && (
            <img
              class="map-under"
              src={thumbnail(under.value.what)}
              alt=""
              style={{ transform: `translate(${under.value.x + 14}px, ${under.value.y + 14}px)` }}
            />
          )}
          {border.value.length > 1 && (
            <svg class="map-border" aria-hidden="true">
              <polygon points={border.value.map(({ x, y }) => `${x},${y}`).join(" ")} />
            </svg>
          )}
        </div>
      </div>
      <p class="unseen" id="map-keys">
        {text.keys}
      </p>
      <div class="map-tools">
        <Tool icon="plus" label={text.zoomIn} onClick={change((camera) => camera.zoomBy(1.6))} />
        <Tool icon="minus" label={text.zoomOut} onClick={change((camera) => camera.zoomBy(1 / 1.6))} />
        <Tool icon="map" label={text.fit} onClick={change((camera) => camera.showEverything())} />
        <Tool icon="crop" label={text.lasso} pressed={isDrawing.value} onClick={toggleDrawing} />
      </div>
      {isDrawing.value && (
        <p class="map-hint" role="status">
          {text.lassoHint}
        </p>
      )}
    </div>
  );
}

interface ToolProperties {
  icon: Parameters<typeof Icon>[0]["name"];
  label: string;
  pressed?: boolean;
  onClick: () => void;
}

function Tool({ icon, label, pressed, onClick }: ToolProperties) {
  return (
    <button
      type="button"
      class="icon-button"
      aria-label={label}
      title={label}
      {...(pressed === undefined ? {} : { "aria-pressed": pressed })}
      onClick={onClick}
    >
      <Icon name={icon} />
    </button>
  );
}
