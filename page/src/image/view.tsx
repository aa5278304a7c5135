// The image view: one image over the results, large, with its words, neighbours and facts. Keyboard focus
// stays in it until it is closed. Arrows show the next image, x selects, Esc closes, / returns to the box.

import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { services } from "../api/clients";
import { returns } from "../api/connection";
import { messageOf } from "../api/errors";
import { versionAddress } from "../api/images";
import { addToQuery } from "../box/given_pictures";
import { Icon } from "../frame/icons";
import { useShortcuts } from "../frame/shortcuts";
import type { Image } from "../gen/semsearch/v1/image_pb";
import { nameOf } from "../results/names";
import { isSelected, toggle } from "../selection/selection";
import { go, openImage, query } from "../state/address";
import { shown } from "../state/search";
import { Facts } from "./facts";
import { Nearest } from "./nearest";
import { Stage } from "./stage";
import { OwnLabels, Tags } from "./tags";
import { text } from "./text";
import { turningFrom, turnTo } from "./turning";

export default function ImageView() {
  const id = openImage.value ?? "";
  const place = useRef<HTMLDivElement>(null);
  const { image, problem } = useImage(id);
  const turning = turningFrom(id);
  const toBox = useRef(false);
  useCover(place, toBox);
  usePreloading([turning.next, turning.previous]);
  useShortcuts({
    ArrowLeft: () => turnTo(turning.previous),
    ArrowRight: () => turnTo(turning.next),
    ArrowUp: () => turnTo(turning.previous),
    ArrowDown: () => turnTo(turning.next),
    Escape: close,
    x: () => toggle(id),
    "/": () => {
      toBox.current = true;
      close();
    },
  });
  const name = image ? nameOf(image) : "";
  return (
    <div class="viewer" role="dialog" aria-modal="true" aria-label={text.image(name)} tabIndex={-1} ref={place}>
      <div class="viewer-stage">
        {image ? (
          <Stage key={image.id} image={image} onTurn={(step) => turnTo(step > 0 ? turning.next : turning.previous)} />
        ) : (
          <p class="stage-note">{problem || text.loading}</p>
        )}
        <button type="button" class="viewer-button close" aria-label={text.close} title={text.closeKey} onClick={close}>
          <Icon name="close" />
        </button>
        {turning.previous && (
          <button
            type="button"
            class="viewer-button previous"
            aria-label={text.previous}
            onClick={() => turnTo(turning.previous)}
          >
            <Icon name="left" size={26} />
          </button>
        )}
        {turning.next && (
          <button type="button" class="viewer-button next" aria-label={text.next} onClick={() => turnTo(turning.next)}>
            <Icon name="right" size={26} />
          </button>
        )}
      </div>
      {image && (
        <aside class="viewer-side" aria-label={text.details}>
          <Head image={image} />
          {turning.index >= 0 && (
            <p class="quiet" role="status">
              {text.position(turning.index + 1, turning.count, turning.isComplete)}
            </p>
          )}
          <section>
            <h3>{text.tags}</h3>
            <Tags image={image} />
          </section>
          <section>
            <h3>{text.own}</h3>
            <OwnLabels image={image} />
          </section>
          <section>
            <h3>{text.nearest}</h3>
            <Nearest image={image} />
          </section>
          <section>
            <h3>{text.details}</h3>
            <Facts image={image} />
          </section>
        </aside>
      )}
    </div>
  );
}

function Head({ image }: { image: Image }) {
  const chosen = isSelected(image.id);
  const like = (weight: number) => addToQuery([{ kind: "stored", key: image.id, weight, crop: null }]);
  return (
    <header class="viewer-head">
      <h2>{nameOf(image)}</h2>
      <div class="viewer-acts">
        <button type="button" class="button" aria-pressed={chosen} onClick={() => toggle(image.id)}>
          <Icon name="check" size={18} />
          {chosen ? text.selected : text.select}
        </button>
        <button type="button" class="icon-button" aria-label={text.more} title={text.more} onClick={() => like(1)}>
          <Icon name="plus" />
        </button>
        <button type="button" class="icon-button" aria-label={text.less} title={text.less} onClick={() => like(-0.5)}>
          <Icon name="minus" />
        </button>
        {!image.originalAt && (
          <a
            class="icon-button"
            href={versionAddress(image, "original")}
            download={nameOf(image)}
            aria-label={text.download}
            title={text.download}
          >
            <Icon name="download" />
          </a>
        )}
      </div>
    </header>
  );
}

function close(): void {
  go({ image: null, labels: null });
}

/** Return the image: from the results if they have it, else from the server. */
function useImage(id: string): { image: Image | null; problem: string } {
  const listed = useComputed(() => shown.value?.results.value.find(({ image }) => image.id === openImage.value)?.image);
  const fetched = useSignal<{ image: Image | null; problem: string }>({ image: null, problem: "" });
  const { collection } = query.value;
  const isListed = listed.value !== undefined;
  useEffect(() => {
    if (isListed) return;
    const controller = new AbortController();
    services.gallery.getImage({ id, collection }, { signal: controller.signal }).then(
      ({ image }) => {
        fetched.value = { image: image ?? null, problem: "" };
      },
      (error) => {
        if (!controller.signal.aborted) fetched.value = { image: null, problem: messageOf(error) || text.missing };
      },
    );
    return () => controller.abort();
  }, [id, collection, isListed, fetched, returns.value]);
  if (listed.value) return { image: listed.value, problem: "" };
  return fetched.value.image?.id === id || fetched.value.problem ? fetched.value : { image: null, problem: "" };
}

/** Keep focus and screen readers in the view while it is open. Then focus the tile that opened it, or the box. */
function useCover(place: { current: HTMLDivElement | null }, toBox: { current: boolean }): void {
  useEffect(() => {
    const before = document.activeElement;
    const below = [...document.querySelectorAll<HTMLElement>("body header.header, #main, .skip")];
    for (const element of below) element.inert = true;
    document.documentElement.classList.add("covered");
    place.current?.focus();
    return () => {
      for (const element of below) element.inert = false;
      document.documentElement.classList.remove("covered");
      if (toBox.current) document.querySelector<HTMLElement>('input[type="search"]')?.focus();
      else if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
    };
  }, [place, toBox]);
}

/** Fetch the originals of the next and the previous image. */
function usePreloading(ids: readonly (string | null)[]): void {
  useEffect(() => {
    const results = shown.value?.results.value ?? [];
    for (const id of ids) {
      const image = results.find((each) => each.image.id === id)?.image;
      if (image && !image.originalAt) new window.Image().src = versionAddress(image, "original");
    }
  }, [ids.join()]);
}
