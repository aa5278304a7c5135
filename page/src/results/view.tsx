// The search view: what was found, or why nothing was.

import { useCallback, useEffect, useMemo } from "preact/hooks";
import { useShortcuts } from "../frame/shortcuts";
import { SelectionBar } from "../selection/bar";
import { leaving } from "../selection/deletion";
import { selectAmong, selectNothing } from "../selection/selection";
import { query } from "../state/address";
import { isSearch } from "../state/query";
import { current, refresh, shown } from "../state/search";
import { Bar } from "./bar";
import { cutOf, reach, totalAbove } from "./cut";
import { Empty, Failed, NothingFound } from "./empty";
import { FilterChips, FilterPanel } from "./filters";
import { Grid } from "./grid";
import { Ideas } from "./ideas";
import type { ResultList } from "./result_list";

export function SearchView() {
  useShortcuts({ Escape: selectNothing });
  const list = shown.value;
  if (!list) {
    const failed = current.value?.status.value === "failed";
    return failed ? <Failed problem={current.value?.problem.value ?? ""} onAgain={refresh} /> : null;
  }
  return <Results list={list} />;
}

function Results({ list }: { list: ResultList }) {
  const { collection } = list.query;
  // Ids are those of a collection.
  useEffect(() => () => selectNothing(), [collection]);
  const asked = query.value;
  const all = list.results.value;
  const cut = cutOf(list, asked);
  const { count: above, complete } = reach(list);
  const hidden = leaving.value;
  const results = useMemo(() => all.slice(0, above).filter(({ image }) => !hidden.has(image.id)), [all, above, hidden]);
  const total = totalAbove(list, cut);

  const load = useCallback((count: number) => list.load(count), [list]);
  useEffect(() => {
    selectAmong(() => results.map(({ image }) => image.id));
  }, [results]);

  const failed = list.status.value === "failed" && list.problem.value !== "";
  const isNothing = list.status.value === "ready" && complete && above === 0;
  return (
    <section class={current.value === list ? "results" : "results stale"} aria-busy={current.value !== list}>
      <Bar list={list} shownCount={above} total={total} cut={cut} />
      <FilterPanel list={list} />
      <FilterChips />
      {!isSearch(list.query) && <Ideas list={list} />}
      {failed && <Failed problem={list.problem.value} onAgain={refresh} />}
      {isNothing ? (
        isSearch(list.query) || all.length ? (
          <NothingFound list={list} cut={cut} />
        ) : (
          <Empty list={list} />
        )
      ) : (
        <Grid results={results} complete={complete} expected={total ?? 0} load={load} name={list} />
      )}
      <SelectionBar list={list} above={above} complete={complete} />
    </section>
  );
}
