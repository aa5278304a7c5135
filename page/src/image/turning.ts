// The next and the previous image, in the order of the results.

import { reach } from "../results/cut";
import { go } from "../state/address";
import { shown } from "../state/search";

const FETCHED_AHEAD = 20;

export interface Turning {
  /** The position of the open image, from 0; −1 if it is not in the results. */
  index: number;
  count: number;
  isComplete: boolean;
  previous: string | null;
  next: string | null;
}

/** Return the neighbours of an image in the results, and fetch more results before their end is reached. */
export function turningFrom(id: string): Turning {
  const list = shown.value;
  const results = list?.results.value ?? [];
  const shownOfList = list ? reach(list) : { count: 0, complete: true };
  const found = results.findIndex(({ image }) => image.id === id);
  const index = found < shownOfList.count ? found : -1;
  if (list && index >= 0 && index + FETCHED_AHEAD > results.length) void list.load(results.length + 1);
  return {
    index,
    count: shownOfList.count,
    isComplete: shownOfList.complete,
    previous: index > 0 ? (results[index - 1]?.image.id ?? null) : null,
    next: index >= 0 && index + 1 < shownOfList.count ? (results[index + 1]?.image.id ?? null) : null,
  };
}

/** Open an image instead of the current one, so that Back leads to the results. */
export function turnTo(id: string | null): void {
  if (id !== null) go({ image: id }, { replace: true });
}
