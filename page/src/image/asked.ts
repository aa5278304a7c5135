// What the server says about the open image. A new question gives up the one before; what fails says so in its place.

import { type Signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { messageOf, wasCancelled } from "../api/errors";

export interface Asked<T> {
  answer: T | null;
  problem: string;
}

/** Ask again whenever `about` changes, a little later, so that turning many pages fast asks once. */
export function useAsked<T>(
  about: string,
  question: (signal: AbortSignal) => Promise<T>,
  pauseMs: number,
): Signal<Asked<T>> {
  const state = useSignal<Asked<T>>({ answer: null, problem: "" });
  useEffect(() => {
    const controller = new AbortController();
    const timer = setTimeout(() => {
      question(controller.signal).then(
        (answer) => {
          if (!controller.signal.aborted) state.value = { answer, problem: "" };
        },
        (error) => {
          if (!wasCancelled(error)) state.value = { answer: null, problem: messageOf(error) };
        },
      );
    }, pauseMs);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [about]);
  return state;
}
