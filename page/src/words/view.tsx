// Words: the neighbours of what stands in the box, with their distances, and the images that lie there. Sums and
// differences are words with + and −, as in every query.

import { useSignal } from "@preact/signals";
import { services } from "../api/clients";
import { versionAddress } from "../api/images";
import { useRequest } from "../api/request";
import type { UnderstoodTerm } from "../gen/semsearch/v1/query_pb";
import type { WordMatch } from "../gen/semsearch/v1/search_service_pb";
import { reach } from "../results/cut";
import { nameOf } from "../results/names";
import { hrefOf, query } from "../state/address";
import { isSearch } from "../state/query";
import { shown } from "../state/search";
import { Neighbour } from "./neighbour";
import { text } from "./text";

const PAGE = 24;
const IMAGES = 12;
const PAUSE_MS = 40;
// Each word with its sign.
const EXAMPLES = [
  ["king", "−man", "+woman"],
  ["paris", "−france", "+italy"],
  ["puppy", "−dog", "+cat"],
  ["ocean"],
  ["dog", "+cat"],
];

export default function WordsView() {
  const words = query.value.text.trim();
  return words ? <Neighbours key={words} words={words} /> : <Start />;
}

function Start() {
  return (
    <div class="words-start">
      <h2>{text.title}</h2>
      <p>{text.about}</p>
      <ul class="examples">
        {EXAMPLES.map((words) => {
          const example = words.join(" ");
          return (
            <li key={example}>
              <a class="button" href={hrefOf({ q: example.replaceAll("+", "").replaceAll("−", "-"), p: null })}>
                {example.replaceAll(/([+−])/g, "$1 ")}
              </a>
            </li>
          );
        })}
      </ul>
    </div>
  );
}

function Neighbours({ words }: { words: string }) {
  const size = useSignal(PAGE);
  const asked = useRequest(
    `${words} ${size.value}`,
    (signal) => services.search.similarWords({ query: words, pageSize: size.value }, { signal }),
    PAUSE_MS,
  );
  const { answer, problem } = asked.value;
  const found = answer?.words ?? [];
  return (
    <div class="words">
      <section aria-label={text.neighbours} aria-busy={!answer && !problem}>
        {problem && <p role="alert">{problem}</p>}
        {answer && <Equation terms={answer.understood} nearest={found[0]} />}
        <ol class="neighbours">
          {found.map((match) => (
            <Neighbour key={match.word} match={match} />
          ))}
        </ol>
        {answer?.nextPageToken && (
          <button
            type="button"
            class="button"
            onClick={() => {
              size.value += PAGE;
            }}
          >
            {text.moreWords}
          </button>
        )}
      </section>
      <ImagesThere />
    </div>
  );
}

/** "king − man + woman ≈ queen"; a single word alone. */
function Equation({ terms, nearest }: { terms: readonly UnderstoodTerm[]; nearest: WordMatch | undefined }) {
  return (
    <h2 class="equation">
      {terms.map((term, at) => (
        <span key={`${at}${term.text}`}>
          <span class="sign">{term.weight < 0 ? " − " : at ? " + " : ""}</span>
          {Math.abs(term.weight) === 1 ? "" : `${Number(Math.abs(term.weight).toFixed(2))} `}
          {term.text}
        </span>
      ))}
      {terms.length > 1 && nearest && (
        <>
          <span class="sign"> ≈ </span>
          <a href={hrefOf({ q: nearest.word })}>{nearest.word}</a>
        </>
      )}
    </h2>
  );
}

function ImagesThere() {
  const list = shown.value;
  const images = list && isSearch(list.query) ? list.results.value.slice(0, IMAGES) : [];
  if (!list || !images.length) return null;
  const isNear = reach(list).count > 0;
  return (
    <section class="words-images" aria-label={text.images}>
      <h3>{isNear ? text.images : text.farImages}</h3>
      <ul>
        {images.map(({ image }) => (
          <li key={image.id}>
            <a href={hrefOf({ image: image.id })}>
              <img src={versionAddress(image, "thumbnail")} alt={nameOf(image)} decoding="async" />
            </a>
          </li>
        ))}
      </ul>
      <a class="button" href={hrefOf({ view: null })}>
        {text.allImages}
      </a>
    </section>
  );
}
