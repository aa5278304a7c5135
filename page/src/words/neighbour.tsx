// One neighbour: a link to its own neighbours, how far away it is, and buttons that add it to the query or subtract it.

import { writeText } from "../box/parts";
import { Icon } from "../frame/icons";
import type { WordMatch } from "../gen/semsearch/v1/search_service_pb";
import { decimal } from "../i18n/language";
import { ask, hrefOf, query } from "../state/address";
import { text } from "./text";

// At a right angle, words have nothing in common.
const UNRELATED = Math.SQRT2;

export function Neighbour({ match: { word, distance } }: { match: WordMatch }) {
  const add = (weight: number) => {
    ask({ text: `${query.value.text.trim()} ${writeText([{ text: word, weight }], [])}` });
  };
  return (
    <li>
      <a href={hrefOf({ q: writeText([{ text: word, weight: 1 }], []) })}>{word}</a>
      <span class="nearness" aria-hidden="true">
        <span style={{ width: `${100 * Math.max(0, 1 - distance / UNRELATED)}%` }} />
      </span>
      <span class="distance" title={text.distanceHelp}>
        <span class="unseen">{text.distance} </span>
        {decimal(distance)}
      </span>
      <button
        type="button"
        class="icon-button"
        aria-label={text.plus(word)}
        title={text.plus(word)}
        onClick={() => add(1)}
      >
        <Icon name="plus" size={16} />
      </button>
      <button
        type="button"
        class="icon-button"
        aria-label={text.minus(word)}
        title={text.minus(word)}
        onClick={() => add(-1)}
      >
        <Icon name="minus" size={16} />
      </button>
    </li>
  );
}
