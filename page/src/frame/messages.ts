// Short messages at the foot of the page. One may offer to undo what it tells; it then stays until that is final.

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

/** Show a message; return how to take it away. */
export function tell(text: string, { action, forMs = SHOWN_MS }: { action?: Message["action"]; forMs?: number } = {}) {
  last += 1;
  const id = last;
  const takeAway = () => {
    messages.value = messages.value.filter((message) => message.id !== id);
  };
  messages.value = [...messages.value, { id, text, ...(action ? { action } : {}) }];
  setTimeout(takeAway, forMs);
  return takeAway;
}
