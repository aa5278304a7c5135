// The keys of the grid: arrows move, x selects, Shift with arrows selects on the way, Enter opens.

import type { Signal } from "@preact/signals";
import type { RefObject } from "preact";
import { useShortcuts } from "../frame/shortcuts";
import { selectTo, toggle } from "../selection/selection";
import type { Layout } from "./layout";
import type { Result } from "./result_list";

interface Grid {
  place: RefObject<HTMLUListElement | null>;
  layout: Layout;
  results: readonly Result[];
  current: Signal<number>;
  loadMore: () => void;
}

export function useGridKeys({ place, layout, results, current, loadMore }: Grid): void {
  const move = (to: (from: number) => number, selects: boolean) => () => {
    const isInside = place.current?.contains(document.activeElement) ?? false;
    const from = Math.min(current.value, results.length - 1);
    // The first arrow leads into the grid.
    const next = isInside ? Math.min(Math.max(to(from), 0), results.length - 1) : from;
    if (next < 0) return;
    if (next === results.length - 1) loadMore();
    current.value = next;
    const id = (at: number) => results[at]?.image.id;
    const [here, there] = [id(from), id(next)];
    if (selects && here && there) {
      selectTo(here);
      selectTo(there);
    }
    focusTile(place, layout, next);
  };
  const left = (from: number) => from - 1;
  const right = (from: number) => from + 1;
  const up = (from: number) => layout.beside(from, -1);
  const down = (from: number) => layout.beside(from, 1);
  useShortcuts({
    ArrowLeft: move(left, false),
    ArrowRight: move(right, false),
    ArrowUp: move(up, false),
    ArrowDown: move(down, false),
    "Shift+ArrowLeft": move(left, true),
    "Shift+ArrowRight": move(right, true),
    "Shift+ArrowUp": move(up, true),
    "Shift+ArrowDown": move(down, true),
    Home: move(() => 0, false),
    End: move(() => results.length - 1, false),
    x: () => {
      const id = results[current.value]?.image.id;
      if (id) toggle(id);
    },
  });
}

/** Bring a picture into sight and focus it, once it is in the document. */
export function focusTile(place: RefObject<HTMLUListElement | null>, layout: Layout, index: number): void {
  const row = layout.rowOf(index);
  const grid = place.current;
  if (!row || !grid) return;
  const top = grid.getBoundingClientRect().top + row.top;
  const header = document.querySelector("header")?.getBoundingClientRect().bottom ?? 0;
  if (top < header + 8) scrollBy(0, top - header - 8);
  else if (top + row.height > innerHeight - 8) scrollBy(0, top + row.height - innerHeight + 8);
  requestAnimationFrame(() =>
    requestAnimationFrame(() => {
      grid.querySelector<HTMLElement>(`[data-index="${index}"]`)?.focus({ preventScroll: true });
    }),
  );
}
