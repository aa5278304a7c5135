// Requests of a component to the server. A new request cancels the one before, whose answer stays until the new one
// comes. Requests are sent again when the server is back.

import { type Signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { returns } from "./connection";
import { messageOf, wasCancelled } from "./errors";

export interface RequestState<T> {
  answer: T | null;
  problem: string;
}

/** Send a request when `key` changes, after a pause, so that many quick changes send one. */
export function useRequest<T>(
  key: string,
  send: (signal: AbortSignal) => Promise<T>,
  pauseMs: number,
): Signal<RequestState<T>> {
  const state = useSignal<RequestState<T>>({ answer: null, problem: "" });
  useEffect(() => {
    const controller = new AbortController();
    const timer = setTimeout(() => {
      send(controller.signal).then(
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
  }, [key, returns.value]);
  return state;
}
