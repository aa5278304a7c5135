// Ideas for a first search: words that fit some images of the collection.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { services } from "../api/clients";
import { ask } from "../state/address";
import type { ResultList } from "./result_list";
import { text } from "./text";

const LOOKED_AT = 8;
const SHOWN = 5;

export function Ideas({ list }: { list: ResultList }) {
  const words = useSignal<readonly string[]>([]);
  const isFilled = list.results.value.length > 0;
  useEffect(() => {
    if (!isFilled) return;
    const controller = new AbortController();
    const all = list.results.value;
    const step = Math.max(1, Math.floor(all.length / LOOKED_AT));
    const some = all.filter((_, at) => at % step === 0).slice(0, LOOKED_AT);
    const tags = some.map(async ({ image }) => {
      const source = { case: "imageId" as const, value: image.id };
      const found = await services.search.tagImage(
        { source, collection: image.collection, maxTags: 1 },
        { signal: controller.signal },
      );
      return found.tags.map(({ word }) => word);
    });
    void Promise.all(tags).then(
      (found) => {
        words.value = [...new Set(found.flat())].slice(0, SHOWN);
      },
      () => {
        // Ideas are not missed.
      },
    );
    return () => controller.abort();
  }, [list, isFilled, words]);
  return (
    <p class="ideas">
      {words.value.length > 0 && <span>{text.ideas}</span>}
      {words.value.map((word) => (
        <button key={word} type="button" onClick={() => ask({ text: word })}>
          {word}
        </button>
      ))}
    </p>
  );
}
