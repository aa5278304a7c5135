// The parts of the query: a chip for each word, phrase and picture, with + or −, a weight, and a way to remove it.

import type { ResultList } from "../results/result_list";
import { ask, query } from "../state/address";
import { isSearch } from "../state/query";
import { Chip } from "./chip";
import { type WordPart, wordParts, writeText } from "./parts";
import { PictureChip } from "./picture_chip";
import { text } from "./text";
import { typed } from "./typing";

export function Chips({ list }: { list: ResultList | null }) {
  const { pictures } = query.value;
  const understanding = list?.understanding.value;
  const parts = isSearch(query.value) && understanding ? wordParts(understanding.understood) : [];
  // A single word that counts once says nothing that the box does not.
  const isPlain = parts.length === 1 && parts[0]?.weight === 1 && parts[0].text === query.value.text.trim();
  if (!pictures.length && (!parts.length || isPlain)) return null;

  const write = (changed: WordPart[], change = ask) =>
    change({ text: writeText(changed, understanding?.unknown ?? []) });
  return (
    <ul class="chips" aria-label={text.parts}>
      {pictures.map((picture, at) => (
        <PictureChip
          key={`${picture.kind}${picture.key}`}
          picture={picture}
          onChange={(changed, change = ask) => change({ pictures: pictures.with(at, changed) })}
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
