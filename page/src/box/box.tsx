// The one box: words and pictures to look for.

import { Icon } from "../frame/icons";
import { ask, query } from "../state/address";
import { text } from "./text";

export function Box() {
  return (
    <search>
      <form class="box" onSubmit={(event) => event.preventDefault()}>
        <div class="box-line">
          <Icon name="search" />
          <input
            class="box-words"
            type="search"
            aria-label={text.label}
            placeholder={text.placeholder}
            autocomplete="off"
            autocapitalize="off"
            spellcheck={false}
            value={query.value.text}
            onInput={(event) => ask({ text: event.currentTarget.value }, { replace: true })}
          />
        </div>
      </form>
    </search>
  );
}
