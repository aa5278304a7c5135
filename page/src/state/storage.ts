// Small notes in the browser's storage. A browser may refuse to store; a note then lasts as long as the page.

const notes = new Map<string, string>();

/** Return a note, or null if there is none. */
export function recall(name: string): string | null {
  try {
    return localStorage.getItem(name) ?? notes.get(name) ?? null;
  } catch {
    return notes.get(name) ?? null;
  }
}

/** Keep a note; null removes it. */
export function remember(name: string, note: string | null): void {
  if (note === null) notes.delete(name);
  else notes.set(name, note);
  try {
    if (note === null) localStorage.removeItem(name);
    else localStorage.setItem(name, note);
  } catch {
    // It is in `notes`.
  }
}
