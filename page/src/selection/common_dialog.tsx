// What the selected images have in common: the words nearest to the mean of their vectors.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { messageOf, wasCancelled } from "../api/errors";
import { Dialog } from "../frame/dialog";
import type { Image } from "../gen/semsearch/v1/image_pb";
import type { Tag } from "../gen/semsearch/v1/search_service_pb";
import { percent } from "../i18n/language";
import { ask } from "../state/address";
import { commonWords } from "./common_words";
import { text } from "./text";

export function CommonDialog({ images, onClose }: { images: readonly Image[]; onClose: () => void }) {
  const tags = useSignal<readonly Tag[] | null>(null);
  const problem = useSignal("");
  useEffect(() => {
    const controller = new AbortController();
    void commonWords(images, controller.signal).then(
      (found) => {
        tags.value = found;
      },
      (error: unknown) => {
        if (!wasCancelled(error)) problem.value = messageOf(error);
      },
    );
    return () => controller.abort();
  }, [images, tags, problem]);
  return (
    <Dialog title={text.commonTitle(images.length)} onClose={onClose}>
      {problem.value && <p role="alert">{problem.value}</p>}
      {tags.value?.length === 0 && <p>{text.commonNothing}</p>}
      <ul class="common-words">
        {tags.value?.map(({ word, relevance }) => (
          <li key={word}>
            <button
              type="button"
              class="button"
              title={text.searchFor(word)}
              onClick={() => {
                onClose();
                ask({ text: word, pictures: [] });
              }}
            >
              {word}
              <span class="quiet">{percent(relevance)}</span>
            </button>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}
