// A part of the page whose code is fetched when it is first shown.

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { text } from "./text";

export function Later({ load }: { load: () => Promise<{ default: () => JSX.Element }> }) {
  const Part = useSignal<(() => JSX.Element) | null>(null);
  useEffect(() => {
    void load().then((loaded) => {
      Part.value = loaded.default;
    });
  }, [load, Part]);
  return Part.value ? <Part.value /> : <p aria-busy="true">{text.loading}</p>;
}
