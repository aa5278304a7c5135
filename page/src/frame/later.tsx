// A part of the page whose code is fetched when it is first shown.

import { useSignal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";
import { returns } from "../api/connection";
import { text } from "./text";

type Loading<P> = { load: () => Promise<{ default: ComponentType<P> }> };

/** Fetch a part by `load`, and show it with all other properties. It is fetched again when the server is back. */
export function Later<P extends object>({ load, ...rest }: Loading<P> & P) {
  const loaded = useSignal<{ part: ComponentType<P> } | null>(null);
  const failed = useSignal(false);
  useEffect(() => {
    failed.value = false;
    load().then(
      (module) => {
        loaded.value = { part: module.default };
      },
      () => {
        failed.value = true;
      },
    );
  }, [load, loaded, failed, returns.value]);
  const Part = loaded.value?.part;
  if (Part) return <Part {...(rest as unknown as P)} />;
  return failed.value ? <NotLoaded /> : <p aria-busy="true">{text.loading}</p>;
}

/** An update of the server replaces the files that an open page refers to; the page must then be loaded again. */
function NotLoaded() {
  return (
    <div class="not-loaded" role="alert">
      <p>{text.notLoaded}</p>
      <button type="button" class="button" onClick={() => location.reload()}>
        {text.reload}
      </button>
    </div>
  );
}
