// The line above the results: their number, the collection, the cut, the order and other options.

import { useEffect } from "preact/hooks";
import { collections, fetchCollections } from "../api/collections";
import { returns } from "../api/connection";
import { DEFAULT_COLLECTION } from "../api/images";
import { Icon } from "../frame/icons";
import { percent } from "../i18n/language";
import { ask, query } from "../state/address";
import { showsRelevance } from "../state/preferences";
import { hasFilters, isSearch, type Order } from "../state/query";
import { CutSlider } from "./cut_slider";
import { filtersOpen } from "./filters";
import type { ResultList } from "./result_list";
import { text } from "./text";

interface Properties {
  list: ResultList;
  /** How many are fetched and above the cut. */
  shownCount: number;
  /** How many there are above the cut, if it is known. */
  total: number | undefined;
  cut: number;
}

export function Bar({ list, shownCount, total, cut }: Properties) {
  const searches = isSearch(query.value);
  return (
    <div class="bar">
      <p class="bar-count">
        <strong aria-live="polite">
          {total !== undefined ? text.images(total) : shownCount > 0 && text.atLeast(shownCount)}
        </strong>
        <CollectionChoice />
      </p>
      {searches && <CutSlider list={list} cut={cut} />}
      <div class="bar-choices">
        {searches && (
          <select
            class="field quiet-field"
            aria-label={text.order}
            value={query.value.order}
            onChange={(event) => ask({ order: event.currentTarget.value as Order })}
          >
            <option value="best">{text.best}</option>
            <option value="newest">{text.newest}</option>
          </select>
        )}
        {searches && (
          <>
            <Switch
              label={text.showRelevance}
              icon={<span aria-hidden="true">{percent(1).replace(/\d+\s?/, "")}</span>}
              isOn={showsRelevance.value}
              onSwitch={(isOn) => {
                showsRelevance.value = isOn;
              }}
            />
            <Switch
              label={text.distinct}
              icon={<Icon name="common" />}
              isOn={query.value.distinct}
              onSwitch={(distinct) => ask({ distinct })}
            />
          </>
        )}
        <button
          type="button"
          class="button plain"
          aria-expanded={filtersOpen.value}
          aria-controls="filters"
          onClick={() => {
            filtersOpen.value = !filtersOpen.value;
          }}
        >
          <Icon name="filter" size={18} />
          {text.filters}
          {hasFilters(query.value) && <span class="dot" />}
        </button>
      </div>
    </div>
  );
}

interface SwitchProperties {
  label: string;
  icon: preact.ComponentChildren;
  isOn: boolean;
  onSwitch: (isOn: boolean) => void;
}

function Switch({ label, icon, isOn, onSwitch }: SwitchProperties) {
  return (
    <button
      type="button"
      class="icon-button switch"
      aria-pressed={isOn}
      aria-label={label}
      title={label}
      onClick={() => onSwitch(!isOn)}
    >
      {icon}
    </button>
  );
}

/** Chooses the collection; shown only if there are several. */
function CollectionChoice() {
  useEffect(() => {
    void fetchCollections().catch(() => {
      // Without them, there is no choice; the message list says if the server is away.
    });
  }, [returns.value]);
  const here = query.value.collection || DEFAULT_COLLECTION;
  if (collections.value.length < 2 && here === DEFAULT_COLLECTION) return null;
  const known = collections.value.some(({ id }) => id === here);
  return (
    <>
      {" "}
      {text.inCollection}{" "}
      <select
        class="field quiet-field"
        aria-label={text.collection}
        value={here}
        onChange={(event) => {
          const id = event.currentTarget.value;
          ask({ collection: id === DEFAULT_COLLECTION ? "" : id });
        }}
      >
        {!known && <option value={here}>{here}</option>}
        {collections.value.map(({ id, displayName }) => (
          <option key={id} value={id}>
            {displayName || id}
          </option>
        ))}
      </select>
    </>
  );
}
