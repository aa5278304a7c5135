// Keys that work anywhere on the page, except in text fields. A view registers its keys while it is shown. The view that
// came last is first, so an open image gets the arrows before the grid does.

import { useEffect, useRef } from "preact/hooks";

/** What to do for a key, named as KeyboardEvent.key, with "Shift+" or "Mod+" (Ctrl or ⌘) before it. */
export type Shortcuts = Record<string, (event: KeyboardEvent) => void>;

const registered: Shortcuts[] = [];

/** Take keys while the component is shown. */
export function useShortcuts(shortcuts: Shortcuts): void {
  const newest = useRef(shortcuts);
  newest.current = shortcuts;
  useEffect(() => {
    const mine: Shortcuts = new Proxy({}, { get: (_, key: string) => newest.current[key] });
    registered.push(mine);
    return () => {
      registered.splice(registered.indexOf(mine), 1);
    };
  }, []);
}

/** Listen from now on. */
export function listenForShortcuts(): void {
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.altKey || event.isComposing) return;
    const name = keyName(event);
    if (isWriting(event) && name !== "Escape") return;
    // A dialog keeps its keys to itself.
    if (document.querySelector("dialog[open]")) return;
    for (const shortcuts of registered.toReversed()) {
      const act = shortcuts[name];
      if (!act) continue;
      event.preventDefault();
      act(event);
      return;
    }
  });
}

function keyName(event: KeyboardEvent): string {
  const mod = event.ctrlKey || event.metaKey ? "Mod+" : "";
  // The shift of "?" is part of the key.
  const shift = event.shiftKey && event.key.length > 1 ? "Shift+" : "";
  return `${mod}${shift}${event.key.length === 1 ? event.key.toLowerCase() : event.key}`;
}

function isWriting({ target }: KeyboardEvent): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || target.matches("input:not([type=checkbox]), textarea, select"))
  );
}
