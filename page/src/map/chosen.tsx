// The images that were chosen on the map, as a grid, with all that can be done with a selection.

import { useCallback, useEffect, useMemo } from "preact/hooks";
import { useShortcuts } from "../frame/shortcuts";
import { Failed } from "../results/empty";
import { Grid } from "../results/grid";
import { SelectionBar } from "../selection/bar";
import { leaving } from "../selection/deletion";
import { select, selectAmong, selectNothing } from "../selection/selection";
import { hrefOf } from "../state/address";
import { ChosenList } from "./chosen_list";
import { text } from "./text";

interface Properties {
  collection: string;
  ids: readonly string[];
  /** What they have in common, if it is known. */
  title: string;
}

export function Chosen({ collection, ids, title }: Properties) {
  const list = useMemo(() => new ChosenList(collection, ids), [collection, ids]);
  const hidden = leaving.value;
  const all = list.results.value;
  const results = useMemo(() => all.filter(({ image }) => !hidden.has(image.id)), [all, hidden]);
  const complete = list.complete.value;
  const load = useCallback((count: number) => list.load(count), [list]);
  useEffect(() => {
    selectAmong(() => results.map(({ image }) => image.id));
  }, [results]);
  useEffect(() => selectNothing, []);
  useShortcuts({ Escape: selectNothing });
  const selectAll = async () => {
    await list.load(ids.length);
    select(list.results.value.map(({ image }) => image.id));
  };
  return (
    <section class="map-chosen" aria-label={text.listed}>
      <header class="map-chosen-head">
        <h2>{title || text.chosen(ids.length)}</h2>
        {title && <span class="quiet">{text.chosen(ids.length)}</span>}
        <button type="button" class="button plain" onClick={() => void selectAll()}>
          {text.selectAll}
        </button>
        <a class="button plain" href={hrefOf({ area: null, region: null })}>
          {text.clear}
        </a>
      </header>
      {list.status.value === "failed" && list.problem.value && (
        <Failed problem={list.problem.value} onAgain={() => void list.again()} />
      )}
      <Grid results={results} complete={complete} expected={ids.length} load={load} name={list} />
      <SelectionBar list={list} above={results.length} complete={complete} />
    </section>
  );
}
