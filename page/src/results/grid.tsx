// The justified grid. Only the rows near the screen are in the document. Pages are fetched before their place comes into
// sight; rows that are laid out stay where they are.

import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { Layout, type Row } from "./layout";
import type { ResultList } from "./result_list";
import { Tile } from "./tile";

const GAP = 6;
/** Rows this many screens above and below are in the document too. */
const AHEAD = 1;

export function Grid({ list }: { list: ResultList }) {
  const place = useRef<HTMLUListElement>(null);
  const width = useSignal(0);
  const window_ = useSignal({ top: 0, bottom: 0 });

  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const look = () => {
      width.value = element.clientWidth;
      const top = -element.getBoundingClientRect().top;
      window_.value = { top, bottom: top + innerHeight };
    };
    const observer = new ResizeObserver(look);
    observer.observe(element);
    addEventListener("scroll", look, { passive: true });
    addEventListener("resize", look);
    look();
    return () => {
      observer.disconnect();
      removeEventListener("scroll", look);
      removeEventListener("resize", look);
    };
  }, [width, window_]);

  const layout = useLayout(list, width.value);
  const rows: Row[] = [];
  const { top, bottom } = window_.value;
  const screen = bottom - top;
  if (layout) rows.push(...layout.between(top - AHEAD * screen, bottom + AHEAD * screen));

  const needsMore = layout !== null && !list.complete.value && layout.height < bottom + 2 * screen;
  const count = list.results.value.length;
  useEffect(() => {
    if (needsMore) void list.load(count + 1);
  }, [needsMore, list, count]);

  const results = list.results.value;
  return (
    <ul class="grid" ref={place} style={{ height: `${layout?.height ?? 0}px` }}>
      {rows.flatMap((row) =>
        row.lefts.map((left, at) => {
          const index = row.first + at;
          const result = results[index];
          return result ? (
            <Tile
              key={result.image.id}
              result={result}
              index={index}
              box={{ left, top: row.top, width: row.widths[at] ?? 0, height: row.height }}
            />
          ) : null;
        }),
      )}
    </ul>
  );
}

/** Lay out a list as it grows; start anew only if the width, or what was there, has changed. */
function useLayout(list: ResultList, width: number): Layout | null {
  const kept = useMemo(() => ({ layout: null as Layout | null, first: [] as readonly unknown[] }), [list, width]);
  if (!width) return null;
  const target = width < 640 ? 130 : 210;
  const results = list.results.value;
  const complete = list.complete.value;
  const added = kept.layout?.count ?? 0;
  const isSame = kept.layout && results[added - 1] === kept.first[added - 1] && results.length >= added;
  if (!kept.layout || !isSame) kept.layout = new Layout({ width, target, gap: GAP });
  kept.layout.add(
    results.slice(kept.layout.count).map(({ image }) => image),
    complete,
  );
  kept.first = results;
  return kept.layout;
}
