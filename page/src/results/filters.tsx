// Filters: the time and place where a photo was taken, and the attributes that people gave it.

import { signal, useSignal } from "@preact/signals";
import { useEffect, useId } from "preact/hooks";
import { Icon } from "../frame/icons";
import { ask, query } from "../state/address";
import { type Filters, noFilters } from "../state/query";
import { activeFilters } from "./filter_names";
import type { ResultList } from "./result_list";
import { text } from "./text";

export const filtersOpen = signal(false);

/** The filters that apply, each with a way to remove it. */
export function FilterChips() {
  const active = activeFilters(query.value);
  if (!active.length) return null;
  return (
    <ul class="filter-chips" aria-label={text.filters}>
      {active.map(({ name, rest }) => (
        <li key={name}>
          <button type="button" aria-label={text.removeFilter(name)} onClick={() => ask({ filters: rest })}>
            {name}
            <Icon name="close" size={14} />
          </button>
        </li>
      ))}
      {active.length > 1 && (
        <li>
          <button type="button" class="plain" onClick={() => ask({ filters: noFilters })}>
            {text.clearFilters}
          </button>
        </li>
      )}
    </ul>
  );
}

/** Where filters are set. */
export function FilterPanel({ list }: { list: ResultList }) {
  if (!filtersOpen.value) return <div id="filters" hidden />;
  const { filters } = query.value;
  const change = (changed: Partial<Filters>) => ask({ filters: { ...filters, ...changed } });
  return (
    <div id="filters" class="filters">
      <fieldset>
        <legend class="unseen">{text.takenFrom}</legend>
        <label>
          {text.takenFrom}
          <input
            class="field"
            type="date"
            value={filters.takenFrom}
            max={filters.takenTo || undefined}
            onChange={(event) => change({ takenFrom: event.currentTarget.value })}
          />
        </label>
        <label>
          {text.takenTo}
          <input
            class="field"
            type="date"
            value={filters.takenTo}
            min={filters.takenFrom || undefined}
            onChange={(event) => change({ takenTo: event.currentTarget.value })}
          />
        </label>
      </fieldset>
      <PlaceFilter filters={filters} change={change} />
      <AttributeFilter list={list} filters={filters} change={change} />
    </div>
  );
}

interface FilterProperties {
  filters: Filters;
  change: (changed: Partial<Filters>) => void;
}

const USUAL_KILOMETRES = 10;

function PlaceFilter({ filters: { place }, change }: FilterProperties) {
  const where = useSignal("");
  const problem = useSignal("");
  const help = useId();
  useEffect(() => {
    where.value = place ? `${place.latitude}, ${place.longitude}` : "";
  }, [place, where]);
  const set = (written: string, kilometres: number) => {
    problem.value = "";
    if (!written.trim()) return change({ place: null });
    const [latitude, longitude] = written.split(/[,;\s]+/).map(Number.parseFloat);
    const isPlace =
      latitude !== undefined &&
      longitude !== undefined &&
      Math.abs(latitude) <= 90 &&
      Math.abs(longitude) <= 180 &&
      kilometres > 0;
    if (isPlace) return change({ place: { latitude, longitude, kilometres } });
    problem.value = text.placeWrong;
  };
  return (
    <fieldset>
      <legend class="unseen">{text.place}</legend>
      <label>
        {text.place}
        <input
          class="field"
          inputMode="text"
          placeholder={text.placeHint}
          value={where.value}
          aria-invalid={problem.value !== ""}
          aria-describedby={help}
          onChange={(event) => set(event.currentTarget.value, place?.kilometres ?? USUAL_KILOMETRES)}
        />
      </label>
      <label>
        {text.kilometres}
        <input
          class="field short"
          type="number"
          min={0.1}
          step="any"
          disabled={!place}
          value={place?.kilometres ?? USUAL_KILOMETRES}
          onChange={(event) => set(where.value, event.currentTarget.valueAsNumber)}
        />
      </label>
      <span id={help} class="problem">
        {problem.value}
      </span>
    </fieldset>
  );
}

function AttributeFilter({ list, filters, change }: FilterProperties & { list: ResultList }) {
  const name = useSignal("");
  const value = useSignal("");
  const [names, values] = [useId(), useId()];
  const known = attributesOf(list);
  const add = () => {
    if (!name.value.trim()) return;
    change({ attributes: [...filters.attributes, { name: name.value.trim(), value: value.value.trim() }] });
    name.value = "";
    value.value = "";
  };
  return (
    <form
      class="fieldset"
      onSubmit={(event) => {
        event.preventDefault();
        add();
      }}
    >
      <label>
        {text.attribute}
        <input
          class="field"
          list={names}
          value={name.value}
          onInput={(event) => {
            name.value = event.currentTarget.value;
          }}
        />
      </label>
      <label>
        {text.value}
        <input
          class="field"
          list={values}
          placeholder={text.anyValue}
          value={value.value}
          onInput={(event) => {
            value.value = event.currentTarget.value;
          }}
        />
      </label>
      <button type="submit" class="button" disabled={!name.value.trim()}>
        {text.addFilter}
      </button>
      <datalist id={names}>
        {[...known.keys()].map((each) => (
          <option key={each} value={each} />
        ))}
      </datalist>
      <datalist id={values}>
        {[...(known.get(name.value) ?? [])].map((each) => (
          <option key={each} value={each} />
        ))}
      </datalist>
    </form>
  );
}

const LOOKED_AT = 500;
const SUGGESTED = 50;

/** Names and values of attributes, from the results that are there. */
function attributesOf(list: ResultList): Map<string, Set<string>> {
  const known = new Map<string, Set<string>>();
  for (const { image } of list.results.value.slice(0, LOOKED_AT)) {
    for (const [name, value] of Object.entries(image.attributes ?? {})) {
      const values = known.get(name) ?? new Set();
      for (const each of Array.isArray(value) ? value : [value]) {
        if (values.size < SUGGESTED && typeof each !== "object") values.add(String(each));
      }
      known.set(name, values);
    }
  }
  return known;
}
