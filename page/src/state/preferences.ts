// What a person likes to see, remembered by the browser. It is not part of what a link shows.

import { effect, signal } from "@preact/signals";

const NAME = "semsearch.showsRelevance";

export const showsRelevance = signal(read() === "yes");

effect(() => {
  const value = showsRelevance.value ? "yes" : "no";
  try {
    localStorage.setItem(NAME, value);
  } catch {
    // A browser may refuse to store; the choice then lasts as long as the page.
  }
});

function read(): string | null {
  try {
    return localStorage.getItem(NAME);
  } catch {
    return null;
  }
}
