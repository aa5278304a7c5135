// Shown instead of results: why nothing was found, that the collection is empty, or an error.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { mayChange } from "../api/session";
import { Icon } from "../frame/icons";
import { ask, hrefOf, query } from "../state/address";
import { type ActiveFilter, activeFilters } from "./filter_names";
import { fetchPage } from "./pages";
import type { ResultList } from "./result_list";
import { text } from "./text";

/** Shows the words that were understood, the relevance of the nearest image, and the filters that leave nothing. */
export function NothingFound({ list, cut }: { list: ResultList; cut: number }) {
  const understanding = list.understanding.value;
  const understood = understanding?.understood ?? [];
  const nearest = list.results.value[0];
  const isUnknown = !understood.length && (understanding?.unknown.length ?? 0) > 0;
  if (isUnknown) {
    return (
      <div class="empty">
        <h2>{text.nothingUnderstood}</h2>
        <p>{text.nothingUnderstoodHelp}</p>
      </div>
    );
  }
  return (
    <div class="empty">
      <h2>{text.nothing}</h2>
      {understood.length > 0 && (
        <p>
          {text.lookedFor}:{" "}
          {understood.map((term) => `${term.weight < 0 ? "−" : ""}${term.words.join(" ")}`).join(" · ")}
        </p>
      )}
      <EmptiedBy list={list} cut={cut} />
      {nearest && (
        <>
          <p>{text.nearest(nearest.relevance ?? 0, cut)}</p>
          <button
            type="button"
            class="button main"
            onClick={() => ask({ cut: Math.floor((nearest.relevance ?? 0) * 50) / 100 })}
          >
            {text.showNearest}
          </button>
        </>
      )}
    </div>
  );
}

/** Finds the filters that leave nothing: searches again without each of them. */
function EmptiedBy({ list, cut }: { list: ResultList; cut: number }) {
  const reasons = useSignal<ActiveFilter[] | null>(null);
  const filters = activeFilters(list.query);
  useEffect(() => {
    const controller = new AbortController();
    reasons.value = null;
    const tries = activeFilters(list.query).map(async (filter) => {
      const { results } = await fetchPage({ ...list.query, filters: filter.rest }, 1, "", controller.signal);
      const best = results[0];
      return best && (best.relevance ?? 1) >= cut ? [filter] : [];
    });
    void Promise.all(tries).then(
      (found) => {
        reasons.value = found.flat();
      },
      () => {
        // Without an answer, no reason is shown.
      },
    );
    return () => controller.abort();
  }, [list, cut, reasons]);
  if (!filters.length || !reasons.value) return null;
  if (!reasons.value.length) return list.results.value.length ? null : <p>{text.filteredAll}</p>;
  return (
    <>
      <p>{text.filtered}</p>
      <p class="empty-choices">
        {reasons.value.map(({ name, rest }) => (
          <button key={name} type="button" class="button" onClick={() => ask({ filters: rest })}>
            {text.without(name)}
          </button>
        ))}
      </p>
    </>
  );
}

/** The collection has no images, or none that passes the filters. */
export function Empty({ list }: { list: ResultList }) {
  if (activeFilters(query.value).length) {
    return (
      <div class="empty">
        <h2>{text.nothing}</h2>
        <EmptiedBy list={list} cut={0} />
      </div>
    );
  }
  return (
    <div class="empty">
      <h2>{text.empty}</h2>
      {mayChange.value && (
        <>
          <p>{text.emptyHelp}</p>
          <a class="button main" href={hrefOf({ view: "add" })}>
            <Icon name="add" size={18} />
            {text.addPhotos}
          </a>
        </>
      )}
    </div>
  );
}

export function Failed({ problem, onAgain }: { problem: string; onAgain: () => void }) {
  return (
    <div class="empty" role="alert">
      <h2>{text.failed}</h2>
      {problem && <p>{problem}</p>}
      <button type="button" class="button" onClick={onAgain}>
        {text.again}
      </button>
    </div>
  );
}
