// The list of results for the address. The last few lists are kept, so that Back shows them at once.

import { effect, signal, untracked } from "@preact/signals";
import { returns } from "../api/connection";
import { ResultList } from "../results/result_list";
import { query, view } from "./address";
import type { Query } from "./query";

/** The newest list, which may still be loading. */
export const current = signal<ResultList | null>(null);
/** The list on the screen. It stays until the newest list has its first page. */
export const shown = signal<ResultList | null>(null);

const KEPT = 8;
// Several keys within this time are one search. The first key is not delayed.
const PAUSE_MS = 40;

const lists = new Map<string, ResultList>();
let timer: ReturnType<typeof setTimeout> | undefined;
let last = Number.NEGATIVE_INFINITY;

/** Follow the address from now on. */
export function followAddress(): void {
  effect(() => {
    const asked = query.value;
    if (view.value !== "search" && view.value !== "words") return;
    const isTyping = performance.now() - last < PAUSE_MS;
    last = performance.now();
    clearTimeout(timer);
    if (JSON.stringify(listQuery(asked)) === JSON.stringify(current.peek()?.query)) return;
    if (isTyping) timer = setTimeout(() => untracked(() => start(asked)), PAUSE_MS);
    else untracked(() => start(asked));
  });
  effect(() => {
    if (returns.value) untracked(refresh);
  });
}

/** Search again, because something has changed on the server. */
export function refresh(): void {
  lists.clear();
  start(query.value);
}

/** Forget all lists but the one on the screen: they may have outdated images. */
export function forgetOthers(): void {
  for (const [key, list] of lists) if (list !== current.value) lists.delete(key);
}

function start(address: Query): void {
  const asked = listQuery(address);
  const key = JSON.stringify(asked);
  const known = lists.get(key);
  const list = known && known.status.value !== "failed" ? known : new ResultList(asked);
  lists.delete(key);
  lists.set(key, list);
  for (const oldest of [...lists.keys()].slice(0, Math.max(0, lists.size - KEPT))) lists.delete(oldest);
  const before = current.value;
  if (before && before !== list && before.status.value === "loading") before.cancel();
  current.value = list;
  void list.load(1).then(() => {
    if (current.value !== list) return;
    // While the gateway is away, the last list stays.
    if (list.status.value === "failed" && !list.problem.value) return;
    shown.value = list;
    void list.count();
  });
  if (list.status.value === "ready") shown.value = list;
}

/** The part of a query that decides which list it is: in the order of relevance, lists are cut on the page. */
function listQuery(asked: Query): Query {
  return { ...asked, text: asked.text.trim(), cut: asked.order === "newest" ? asked.cut : null };
}
