// Changes that follow each other closely, such as keys or a slider's steps, are one entry of the history: Back returns
// to the search before them.

import { ask } from "../state/address";
import type { Query } from "../state/query";

const PAUSE_MS = 2_000;
let last = Number.NEGATIVE_INFINITY;

/** Change the query by a key or a step. */
export function typed(changes: Partial<Query>): void {
  const now = performance.now();
  const isFirst = now - last > PAUSE_MS;
  last = now;
  ask(changes, { replace: !isFirst });
}

/** Make the next change a new entry of the history. */
export function typingEnded(): void {
  last = Number.NEGATIVE_INFINITY;
}
