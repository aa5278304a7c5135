// Short messages at the foot of the page. A message may offer an action, such as undo; it then stays until it is too late.

import { signal } from "@preact/signals";

export interface Message {
  id: number;
  text: string;
  /** What its button says and does. */
  action?: { label: string; act: () => void };
}

export const messages = signal<readonly Message[]>([]);

const SHOWN_MS = 6_000;
let last = 0;

/** Show a message; return a function that hides it. */
export function showMessage(
  text: string,
  { action, forMs = SHOWN_MS }: { action?: Message["action"]; forMs?: number } = {},
): () => void {
  last += 1;
  const id = last;
  const hide = () => {
    messages.value = messages.value.filter((message) => message.id !== id);
  };
  messages.value = [...messages.value, { id, text, ...(action ? { action } : {}) }];
  setTimeout(hide, forMs);
  return hide;
}
