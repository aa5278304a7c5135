// The words that were not understood, each with suggestions to click.

import type { ResultList } from "../results/result_list";
import { ask, query } from "../state/address";
import { replaceWord } from "./parts";
import { text } from "./text";

const SUGGESTIONS = 3;

export function Hints({ list }: { list: ResultList | null }) {
  const unknown = list?.understanding.value?.unknown ?? [];
  return (
    <div class="hints" aria-live="polite">
      {query.value.text.trim() !== "" &&
        unknown.map(({ word, suggestions }) => (
          <p key={word}>
            {text.notKnown(word)}
            {suggestions.length ? `. ${text.meant} ` : ` ${text.noSuggestion}`}
            {suggestions.slice(0, SUGGESTIONS).map((suggestion) => (
              <button
                key={suggestion}
                type="button"
                class="hint"
                onClick={() => ask({ text: replaceWord(query.value.text, word, suggestion) })}
              >
                {suggestion}
              </button>
            ))}
            {suggestions.length > 0 && "?"}
          </p>
        ))}
    </div>
  );
}
