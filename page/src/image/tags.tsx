// The words that fit an image, and the relevance of the person's own words.

import type { ComponentChildren } from "preact";
import { services } from "../api/clients";
import { type RequestState, useRequest } from "../api/request";
import type { Image } from "../gen/semsearch/v1/image_pb";
import type { TagImageResponse } from "../gen/semsearch/v1/search_service_pb";
import { percent } from "../i18n/language";
import { go, hrefOf, parameters } from "../state/address";
import { text } from "./text";

const MOST_TAGS = 12;
const MOST_LABELS = 100;
const PAUSE_MS = 150;

export function Tags({ image }: { image: Image }) {
  const asked = useRequest(
    `${image.collection}/${image.id}`,
    (signal) =>
      services.search.tagImage(
        { source: { case: "imageId", value: image.id }, collection: image.collection, maxTags: MOST_TAGS },
        { signal },
      ),
    PAUSE_MS,
  );
  return (
    <Ranking asked={asked.value} empty={text.noTags}>
      {(word) => <a href={hrefOf({ q: word, p: null, cut: null, image: null, view: null })}>{word}</a>}
    </Ranking>
  );
}

export function OwnLabels({ image }: { image: Image }) {
  const written = parameters.value.get("labels") ?? "";
  const labels = labelsIn(written);
  const asked = useRequest(
    `${image.collection}/${image.id}?${labels.join()}`,
    async (signal) =>
      labels.length
        ? services.search.tagImage(
            {
              source: { case: "imageId", value: image.id },
              collection: image.collection,
              labels,
              maxTags: MOST_LABELS,
            },
            { signal },
          )
        : null,
    PAUSE_MS,
  );
  return (
    <>
      <input
        class="field"
        type="text"
        aria-label={text.labels}
        placeholder={text.labelsExample}
        value={written}
        autocomplete="off"
        spellcheck={false}
        onInput={(event) => go({ labels: event.currentTarget.value || null }, { replace: true })}
        onKeyDown={(event) => {
          if (event.key !== "Escape") return;
          event.preventDefault();
          event.currentTarget.blur();
        }}
      />
      {labels.length > 0 && <Ranking asked={asked.value}>{(label) => label}</Ranking>}
    </>
  );
}

interface RankingProperties {
  asked: RequestState<TagImageResponse | null>;
  empty?: string;
  children: (word: string) => ComponentChildren;
}

function Ranking({ asked: { answer, problem }, empty, children }: RankingProperties) {
  if (problem) return <p class="quiet">{problem}</p>;
  if (!answer) return <p class="quiet" aria-busy="true" />;
  return (
    <>
      {empty && answer.tags.length === 0 && <p class="quiet">{empty}</p>}
      <ul class="ranking">
        {answer.tags.map(({ word, relevance }) => (
          <li key={word}>
            <span class="ranking-word">{children(word)}</span>
            <span class="ranking-bar" aria-hidden="true">
              <span style={{ width: `${100 * relevance}%` }} />
            </span>
            <span class="ranking-number">{percent(relevance)}</span>
          </li>
        ))}
      </ul>
      {answer.unknownWords.length > 0 && (
        <p class="quiet">{text.unknown(answer.unknownWords.map(({ word }) => word))}</p>
      )}
    </>
  );
}

/** "cat, red car," as its labels, each once. */
export function labelsIn(written: string): string[] {
  const labels = written.split(",").map((label) => label.trim());
  return [...new Set(labels.filter(Boolean))].slice(0, MOST_LABELS);
}
