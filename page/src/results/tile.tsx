// One image of the grid: a link to it, and its buttons.

import { versionAddress } from "../api/images";
import { addToQuery } from "../box/given_pictures";
import { Icon } from "../frame/icons";
import { percent } from "../i18n/language";
import { isSelected, selecting, selectTo, toggle } from "../selection/selection";
import { hrefOf } from "../state/address";
import { showsRelevance } from "../state/preferences";
import { nameOf } from "./names";
import type { Result } from "./result_list";
import { text } from "./text";

export interface TileBox {
  left: number;
  top: number;
  width: number;
  height: number;
}

interface Properties {
  result: Result;
  index: number;
  count: number;
  box: TileBox;
  /** Whether Tab leads to this tile; arrows lead to the others. */
  isCurrent: boolean;
  onFocus: (index: number) => void;
}

export function Tile({ result: { image, relevance }, index, count, box, isCurrent, onFocus }: Properties) {
  const name = nameOf(image);
  const chosen = isSelected(image.id);
  const tabIndex = isCurrent ? 0 : -1;
  const like = (weight: number) => addToQuery([{ kind: "stored", key: image.id, weight, crop: null }]);
  return (
    <li
      class={`tile${chosen ? " chosen" : ""}${selecting.value ? " selecting" : ""}`}
      aria-setsize={count}
      aria-posinset={index + 1}
      onFocusCapture={() => onFocus(index)}
      style={{
        transform: `translate(${box.left}px, ${box.top}px)`,
        width: `${box.width}px`,
        height: `${box.height}px`,
      }}
    >
      <a
        class="tile-link"
        href={hrefOf({ image: image.id })}
        tabIndex={tabIndex}
        data-index={index}
        onClick={(event) => {
          // While something is selected, a click selects; Shift selects all between.
          if (event.shiftKey) selectTo(image.id);
          else if (selecting.value) toggle(image.id);
          else return;
          event.preventDefault();
        }}
      >
        <img src={versionAddress(image, "thumbnail")} alt={text.photo(name)} decoding="async" draggable={false} />
      </a>
      <button
        type="button"
        class="tile-check"
        aria-pressed={chosen}
        aria-label={text.select(name)}
        tabIndex={tabIndex}
        onClick={(event) => (event.shiftKey ? selectTo(image.id) : toggle(image.id))}
      >
        <Icon name="check" size={16} />
      </button>
      <span class="tile-likes">
        <button type="button" aria-label={text.more} title={text.more} tabIndex={tabIndex} onClick={() => like(1)}>
          <Icon name="plus" size={16} />
        </button>
        <button type="button" aria-label={text.less} title={text.less} tabIndex={tabIndex} onClick={() => like(-0.5)}>
          <Icon name="minus" size={16} />
        </button>
      </span>
      {showsRelevance.value && relevance !== null && (
        <span class="tile-relevance" title={text.relevance(relevance)}>
          {percent(relevance)}
        </span>
      )}
    </li>
  );
}
