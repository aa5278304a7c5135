// One part of the query: its sign, its name, its weight on demand, and a way to remove it.

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import { Icon } from "../frame/icons";
import { number } from "../i18n/language";
import { text } from "./text";

interface Properties {
  name: string;
  weight: number;
  onWeight: (weight: number) => void;
  onSign: () => void;
  onRemove: () => void;
  /** Shown before the name: a thumbnail. */
  before?: ComponentChildren;
  /** Further buttons. */
  children?: ComponentChildren;
  class?: string;
}

// The weights of the slider: doubling takes about as many steps as halving.
const STEPS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.2, 1.5, 1.8, 2, 2.5, 3, 4, 5];

export function Chip({ name, weight, onWeight, onSign, onRemove, before, children, ...rest }: Properties) {
  const open = useSignal(false);
  const slider = useId();
  const isFor = weight > 0;
  const size = Math.abs(weight);
  const sign = isFor ? text.steersTowards(name) : text.steersAway(name);
  return (
    <li class={`chip ${isFor ? "for" : "against"} ${rest.class ?? ""}`}>
      <button type="button" class="chip-sign" aria-label={sign} title={sign} onClick={onSign}>
        <Icon name={isFor ? "plus" : "minus"} size={15} />
      </button>
      {before}
      <button
        type="button"
        class="chip-name"
        aria-expanded={open.value}
        aria-controls={slider}
        title={text.weightOf(name)}
        onClick={() => {
          open.value = !open.value;
        }}
      >
        <span>{name}</span>
        {(size !== 1 || open.value) && <span class="chip-weight">×{number(size)}</span>}
      </button>
      <span id={slider} class="chip-slider">
        {open.value && (
          <input
            type="range"
            min={0}
            max={STEPS.length - 1}
            value={nearestStep(size)}
            aria-label={text.weightOf(name)}
            aria-valuetext={text.weight(size)}
            onInput={(event) => {
              const chosen = STEPS[event.currentTarget.valueAsNumber] ?? 1;
              onWeight(isFor ? chosen : -chosen);
            }}
          />
        )}
      </span>
      {children}
      <button
        type="button"
        class="chip-remove"
        aria-label={text.remove(name)}
        title={text.remove(name)}
        onClick={onRemove}
      >
        <Icon name="close" size={15} />
      </button>
    </li>
  );
}

function nearestStep(weight: number): number {
  const distances = STEPS.map((step) => Math.abs(step - weight));
  return distances.indexOf(Math.min(...distances));
}
