// The slider for the cut, over how many results there are at each relevance.

import { typed, typingEnded } from "../box/typing";
import { percent } from "../i18n/language";
import { ask, query } from "../state/address";
import type { ResultList } from "./result_list";
import { text } from "./text";

const WIDTH = 100;
const HEIGHT = 22;

export function CutSlider({ list, cut }: { list: ResultList; cut: number }) {
  return (
    <div class="cut">
      <div class="cut-slider">
        <Histogram list={list} cut={cut} />
        <input
          type="range"
          min={0}
          max={100}
          step={1}
          value={Math.round(cut * 100)}
          aria-label={text.cut}
          aria-valuetext={text.cutValue(cut)}
          onInput={(event) => typed({ cut: event.currentTarget.valueAsNumber / 100 })}
          onChange={typingEnded}
        />
      </div>
      <button
        type="button"
        class="cut-value"
        title={text.cutDefault}
        disabled={query.value.cut === null}
        onClick={() => ask({ cut: null })}
      >
        ≥ {percent(cut)}
      </button>
    </div>
  );
}

/** Bars of how many results are at each relevance; by the logarithm, so that a few still show beside many. */
function Histogram({ list, cut }: { list: ResultList; cut: number }) {
  const counts = list.counts.value;
  if (!counts) return null;
  const bars = counts.slice(0, -1).map((count, at) => Math.log1p(count - (counts[at + 1] ?? 0)));
  const tallest = Math.max(...bars, 1);
  const path = bars.map((bar, at) => `M${at + 0.5} ${HEIGHT}V${HEIGHT - (bar / tallest) * HEIGHT}`).join("");
  return (
    <svg class="histogram" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      <path d={path} />
      <rect x="0" y="0" width={cut * WIDTH} height={HEIGHT} />
    </svg>
  );
}
