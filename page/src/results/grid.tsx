// The justified grid. Only the rows near the screen are in the document. Pages are fetched before their place comes into
// sight, and rows that are laid out stay where they are, so nothing jumps.

import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { useGridKeys } from "./grid_keys";
import { Layout, type LayoutOptions } from "./layout";
import type { Result } from "./result_list";
import { useScrollPlace } from "./scroll_place";
import { text } from "./text";
import { Tile } from "./tile";

const GAP = 6;
// In screens: how far above and below the view tiles are in the document, and how far below it results are fetched.
const AHEAD = 1;
const AHEAD_FETCHED = 3;

interface Properties {
  /** What to show; it grows while `complete` is false. */
  results: readonly Result[];
  complete: boolean;
  /** The expected number of results; the grid keeps room for them. */
  expected: number;
  /** Fetch until there are `count` results. */
  load: (count: number) => Promise<void>;
  /** Identifies the list: another list begins at its top. */
  name: unknown;
}

export function Grid({ results, complete, expected, load, name }: Properties) {
  const place = useRef<HTMLUListElement>(null);
  const width = useSignal(0);
  const view = useSignal({ top: 0, bottom: 0 });
  const current = useSignal(0);

  useLayoutEffect(() => {
    const element = place.current;
    if (!element) return;
    const look = () => {
      width.value = element.clientWidth;
      const top = Math.round(-element.getBoundingClientRect().top);
      if (view.value.top !== top || view.value.bottom !== top + innerHeight) {
        view.value = { top, bottom: top + innerHeight };
      }
    };
    const observer = new ResizeObserver(look);
    observer.observe(element);
    observer.observe(document.body);
    addEventListener("scroll", look, { passive: true });
    addEventListener("resize", look);
    look();
    return () => {
      observer.disconnect();
      removeEventListener("scroll", look);
      removeEventListener("resize", look);
    };
  }, [width, view]);

  const layout = useLayout(results, complete, width.value);
  const { top, bottom } = view.value;
  const screen = bottom - top;
  const rest = complete ? 0 : Math.max(0, expected - layout.count);
  const height = layout.height + restHeight(layout, rest);
  useScrollPlace(name, place, height);

  // Fill what is missing in view, with pictures as large as the average one.
  const missing = complete ? 0 : Math.max(0, bottom + AHEAD_FETCHED * screen - layout.height);
  const wanted = missing > 0 && width.value > 0 ? results.length + Math.ceil(missing / heightOfOne(layout)) : 0;
  useEffect(() => {
    if (wanted > results.length) void load(wanted);
  }, [wanted, results.length, load]);

  useEffect(() => {
    current.value = 0;
  }, [name, current]);
  const isCurrent = Math.min(current.value, results.length - 1);
  useGridKeys({ place, layout, results, current, loadMore: () => void load(results.length + 1) });

  const rows = layout.between(top - AHEAD * screen, bottom + AHEAD * screen);
  return (
    <ul
      class="grid"
      ref={place}
      aria-label={text.results}
      style={{ height: `${height}px`, "--laid-out": `${layout.height}px`, "--row": `${layout.options.target}px` }}
    >
      {rows.flatMap((row) =>
        row.lefts.map((left, at) => {
          const index = row.first + at;
          const result = results[index];
          return result ? (
            <Tile
              key={result.image.id}
              result={result}
              index={index}
              count={complete ? results.length : -1}
              box={{ left, top: row.top, width: row.widths[at] ?? 0, height: row.height }}
              isCurrent={index === isCurrent}
              onFocus={(focused) => {
                current.value = focused;
              }}
            />
          ) : null;
        }),
      )}
    </ul>
  );
}

/** Add new results to the layout. Start again if results were removed, or if the last row was already closed. */
function useLayout(results: readonly Result[], complete: boolean, width: number): Layout {
  const options: LayoutOptions = useMemo(() => ({ width, target: targetHeight(width), gap: GAP }), [width]);
  const kept = useRef({ layout: new Layout(options), results, complete: false });
  const { layout, results: before, complete: wasComplete } = kept.current;
  const last = layout.count - 1;
  const grew =
    layout.options === options && !wasComplete && results.length > last && (last < 0 || results[last] === before[last]);
  const isSame = layout.options === options && results === before && complete === wasComplete;
  if (isSame) return layout;
  const next = grew ? layout : new Layout(options);
  if (width) {
    next.add(
      results.slice(next.count).map(({ image }) => image),
      complete,
    );
  }
  kept.current = { layout: next, results, complete };
  return next;
}

const targetHeight = (width: number): number => (width < 500 ? 120 : width < 900 ? 170 : 220);

/** How much of the grid's height a picture takes, on average. */
function heightOfOne({ height, rows, options }: Layout): number {
  const laidOut = rows.at(-1)?.end ?? 0;
  return laidOut ? height / laidOut : (options.target * options.target * 1.4) / Math.max(options.width, 1);
}

const restHeight = (layout: Layout, rest: number): number => Math.ceil(rest * heightOfOne(layout));
