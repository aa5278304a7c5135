// The parts of the query: a chip for each word, phrase and picture, with + or −, a weight, and a way to remove it.

import { signal } from "@preact/signals";
import type { ResultList } from "../results/result_list";
import { ask, query } from "../state/address";
import { isSearch } from "../state/query";
import { Chip } from "./chip";
import { type WordPart, wordParts, writeText } from "./parts";
import { PictureChip } from "./picture_chip";
import { text } from "./text";
import { typed } from "./typing";

// The parts as a chip changed them, and the text that was written for them: it is not yet understood by the server.
const changed = signal<{ text: string; parts: WordPart[] } | null>(null);

export function Chips({ list }: { list: ResultList | null }) {
  const { pictures } = query.value;
  const understanding = list?.understanding.value;
  const understood = isSearch(query.value) && understanding ? wordParts(understanding.understood) : [];
  // The next change is made to these parts, so none is lost when it comes before the server's answer.
  const isAhead = changed.value?.text === query.value.text && list?.query.text !== query.value.text;
  const parts = isAhead && changed.value ? changed.value.parts : understood;
  // A single word that counts once says nothing that the box does not.
  const isPlain = parts.length === 1 && parts[0]?.weight === 1 && parts[0].text === query.value.text.trim();
  if (!pictures.length && (!parts.length || isPlain)) return null;

  const write = (to: WordPart[], change = ask) => {
    changed.value = { text: writeText(to, understanding?.unknown ?? []), parts: to };
    change({ text: changed.value.text });
  };
  return (
    <ul class="chips" aria-label={text.parts}>
      {pictures.map((picture, at) => (
        <PictureChip
          key={`${picture.kind}${picture.key}`}
          picture={picture}
          onChange={(picture, change = ask) => change({ pictures: pictures.with(at, picture) })}
          onRemove={() => ask({ pictures: pictures.toSpliced(at, 1) })}
        />
      ))}
      {parts.map((part, at) => (
        <Chip
          key={`${at}${part.text}`}
          name={part.text}
          weight={part.weight}
          onWeight={(weight) => write(parts.with(at, { ...part, weight }), typed)}
          onSign={() => write(parts.with(at, { ...part, weight: -part.weight }))}
          onRemove={() => write(parts.toSpliced(at, 1))}
        />
      ))}
    </ul>
  );
}
