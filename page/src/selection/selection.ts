// The selected images, in any view. Views set the order of their images, for ranges.

import { computed, signal } from "@preact/signals";

export const selected = signal<ReadonlySet<string>>(new Set());
/** Whether anything is selected: a click on an image then selects it too. */
export const selecting = computed(() => selected.value.size > 0);

/** The images of the view, in their order. */
let order: () => readonly string[] = () => [];
/** Where a range begins. */
let anchor: string | null = null;

/** Set the images of the view; ranges are selected among them. */
export function selectAmong(ids: () => readonly string[]): void {
  order = ids;
}

export const isSelected = (id: string): boolean => selected.value.has(id);

/** Select an image, or deselect it. */
export function toggle(id: string): void {
  const changed = new Set(selected.value);
  if (!changed.delete(id)) changed.add(id);
  selected.value = changed;
  anchor = id;
}

/** Select all images from the last one that was selected to this one. */
export function selectTo(id: string): void {
  const ids = order();
  const [from, to] = [ids.indexOf(anchor ?? id), ids.indexOf(id)].sort((a, b) => a - b);
  if (from === undefined || to === undefined || from < 0) toggle(id);
  else selected.value = new Set([...selected.value, ...ids.slice(from, to + 1)]);
}

/** Select these images only. */
export function select(ids: Iterable<string>): void {
  selected.value = new Set(ids);
}

/** Deselect images that are gone. */
export function deselect(ids: ReadonlySet<string>): void {
  selected.value = new Set([...selected.value].filter((id) => !ids.has(id)));
}

export function selectNothing(): void {
  selected.value = new Set();
  anchor = null;
}
