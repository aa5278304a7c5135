// The search box. Its text is what the person typed. The chips below it are the pictures, and the words as the server
// understood them.

import { useRef } from "preact/hooks";
import { Icon } from "../frame/icons";
import { useShortcuts } from "../frame/shortcuts";
import { ask, query } from "../state/address";
import { isSearch } from "../state/query";
import { shown } from "../state/search";
import { Chips } from "./chips";
import { addPictures } from "./given_pictures";
import { Hints } from "./hints";
import { text } from "./text";
import { typed, typingEnded } from "./typing";

export function Box() {
  const input = useRef<HTMLInputElement>(null);
  const files = useRef<HTMLInputElement>(null);
  useShortcuts({
    "/": () => {
      input.current?.focus();
      input.current?.select();
    },
  });
  return (
    <search>
      <form
        class="box"
        onSubmit={(event) => {
          event.preventDefault();
          typingEnded();
        }}
      >
        <div class="box-line">
          <Icon name="search" />
          <input
            ref={input}
            class="box-words"
            type="search"
            enterkeyhint="search"
            aria-label={text.label}
            placeholder={text.placeholder}
            autocomplete="off"
            autocapitalize="off"
            spellcheck={false}
            value={query.value.text}
            onInput={(event) => typed({ text: event.currentTarget.value })}
            onBlur={typingEnded}
          />
          {isSearch(query.value) && (
            <button
              type="button"
              class="icon-button"
              aria-label={text.clear}
              title={text.clear}
              onClick={() => {
                ask({ text: "", pictures: [] });
                input.current?.focus();
              }}
            >
              <Icon name="close" />
            </button>
          )}
          <button
            type="button"
            class="icon-button"
            aria-label={text.choose}
            title={text.choose}
            onClick={() => files.current?.click()}
          >
            <Icon name="image" size={22} />
          </button>
          <input
            ref={files}
            type="file"
            accept="image/*"
            multiple
            hidden
            onChange={(event) => {
              void addPictures([...(event.currentTarget.files ?? [])]);
              event.currentTarget.value = "";
            }}
          />
        </div>
        <Chips list={shown.value} />
        <Hints list={shown.value} />
      </form>
    </search>
  );
}
