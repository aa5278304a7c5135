// A part of the page whose code is fetched when it is first shown.

import { useSignal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";
import { text } from "./text";

type Loading<P> = { load: () => Promise<{ default: ComponentType<P> }> };

/** Fetch a part by `load`, and show it with all other properties. */
export function Later<P extends object>({ load, ...rest }: Loading<P> & P) {
  const loaded = useSignal<{ part: ComponentType<P> } | null>(null);
  useEffect(() => {
    void load().then((module) => {
      loaded.value = { part: module.default };
    });
  }, [load, loaded]);
  const Part = loaded.value?.part;
  return Part ? <Part {...(rest as unknown as P)} /> : <p aria-busy="true">{text.loading}</p>;
}
