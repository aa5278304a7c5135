// The address of the page is its state: views and queries are read from it and written to it, so a link shows the same
// to others, and Back returns to the same place.

import { computed, signal } from "@preact/signals";
import { type Query, readQuery, writeQuery } from "./query";

export type View = "search" | "map" | "words" | "add" | "models";
const VIEWS: readonly string[] = ["search", "map", "words", "add", "models"] satisfies View[];

/** What the history keeps beside the address. */
interface Entry {
  /** Where the page was scrolled to. */
  scroll?: number;
  /** A number that is not used twice in a tab. */
  key: string;
}

const search = signal(location.search);
// The place that Back, Forward or loading the page again returns to.
let place = entry().scroll ?? 0;
/** The place to return to; it is taken once. */
export const returnTo = {
  take(): number {
    const taken = place;
    place = 0;
    return taken;
  },
};

export const parameters = computed(() => new URLSearchParams(search.value));
/** The view that the address names. */
export const view = computed<View>(() => {
  const name = parameters.value.get("view") ?? "search";
  return VIEWS.includes(name) ? (name as View) : "search";
});
/** The image that is open in the image view, or null. */
export const openImage = computed(() => parameters.value.get("image"));
/** The query; the same object as long as nothing of it changes. */
const queryText = computed(() => {
  const params = new URLSearchParams();
  writeQuery(readQuery(parameters.value), params);
  return params.toString();
});
export const query = computed(() => readQuery(new URLSearchParams(queryText.value)));

interface Move {
  /** Take the place of the current entry, so that Back does not return to it. */
  replace?: boolean;
}

/** Change the parameters of the address; null removes one. */
export function go(changes: Record<string, string | null>, move: Move = {}): void {
  const params = new URLSearchParams(search.value);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) params.delete(name);
    else params.set(name, value);
  }
  enter(params, move);
}

/** Views that show something of the query themselves. */
const FOLLOWING: ReadonlySet<View> = new Set<View>(["search", "map", "words"]);

/** Change the query, and show its results unless the view shows them itself. */
export function ask(changes: Partial<Query>, move: Move = {}): void {
  const params = new URLSearchParams(search.value);
  writeQuery({ ...query.value, ...changes }, params);
  params.delete("image");
  if (!FOLLOWING.has(view.value)) params.delete("view");
  enter(params, move);
}

/** Enter an address, as a link does. */
export function goTo(search: string): void {
  enter(new URLSearchParams(search), {});
}

/** Return the address of a change, for links. */
export function hrefOf(changes: Record<string, string | null>): string {
  const params = new URLSearchParams(search.value);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) params.delete(name);
    else params.set(name, value);
  }
  return address(params);
}

// Over plain HTTP from another machine, browsers have no crypto.randomUUID.
let entries = 0;
function newKey(): string {
  entries += 1;
  return `${performance.timeOrigin}/${entries}`;
}

/** Names the entry of the history. */
export const entryKey = (): string => entry().key;

/** Remember where the page is scrolled to, for Back and for loading it again. */
export function rememberScroll(scroll: number): void {
  // The page has not returned to its place yet.
  if (place) return;
  history.replaceState({ ...entry(), scroll }, "");
}

function enter(params: URLSearchParams, { replace = false }: Move): void {
  const there = address(params);
  if (there === address(new URLSearchParams(location.search))) return;
  const state: Entry = {
    key: replace ? entry().key : newKey(),
    ...(replace ? { scroll: window.scrollY } : {}),
  };
  if (replace) history.replaceState(state, "", there);
  else {
    rememberScroll(window.scrollY);
    place = 0;
    history.pushState(state, "", there);
  }
  search.value = location.search;
}

function address(params: URLSearchParams): string {
  const text = params.toString().replace(/=(?=&|$)/g, "");
  return text ? `?${text}` : "/";
}

function entry(): Entry {
  return (history.state as Entry | null) ?? { key: "" };
}

history.scrollRestoration = "manual";
addEventListener("popstate", () => {
  const before = `${view.value}?${queryText.value}`;
  search.value = location.search;
  // An image that is closed uncovers the results where they are.
  place = before === `${view.value}?${queryText.value}` ? 0 : (entry().scroll ?? 0);
});
