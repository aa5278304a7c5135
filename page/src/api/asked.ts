// Questions of a component to the server. A new question gives up the one before, whose answer stays until the new one
// has come. What fails is asked again when the server is back.

import { type Signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { returns } from "./connection";
import { messageOf, wasCancelled } from "./errors";

export interface Asked<T> {
  answer: T | null;
  problem: string;
}

/** Ask again whenever `about` changes, after a pause, so that many changes ask once. */
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
  }, [about, returns.value]);
  return state;
}
