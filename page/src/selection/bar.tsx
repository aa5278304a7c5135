// The actions for the selected images, at the foot of the page.

import { useSignal } from "@preact/signals";
import { messageOf } from "../api/errors";
import { mayChange } from "../api/session";
import { addToQuery, MOST_PICTURES } from "../box/given_pictures";
import { Icon } from "../frame/icons";
import { showMessage } from "../frame/messages";
import { useShortcuts } from "../frame/shortcuts";
import type { Image } from "../gen/semsearch/v1/image_pb";
import { reach } from "../results/cut";
import type { ResultList } from "../results/result_list";
import { query } from "../state/address";
import { isSearch } from "../state/query";
import { CommonDialog } from "./common_dialog";
import { deleteImages } from "./deletion";
import { ExportDialog } from "./export_dialog";
import { imagesOf } from "./images";
import { select, selected, selectNothing } from "./selection";
import { TagDialog } from "./tag_dialog";
import { text } from "./text";

interface Properties {
  list: ResultList;
  /** How many results are fetched and above the cut. */
  above: number;
  /** Whether that is all of them. */
  complete: boolean;
}

export function SelectionBar({ list, above, complete }: Properties) {
  const dialog = useSignal<{ kind: "tag" | "export" | "common"; images: readonly Image[] } | null>(null);
  const ids = [...selected.value];
  const open = async (kind: "tag" | "export" | "common") => {
    try {
      dialog.value = { kind, images: await imagesOf(ids, query.value.collection, list) };
    } catch (error) {
      showMessage(messageOf(error));
    }
  };

  const selectAll = async () => {
    // What is below the cut is not fetched on purpose, only what comes with the last page.
    let [count, isComplete] = [above, complete];
    while (!isComplete && list.status.value === "ready") {
      await list.load(list.results.value.length + 1_000);
      ({ count, complete: isComplete } = reach(list));
    }
    select(list.results.value.slice(0, count).map(({ image }) => image.id));
  };
  const remove = () => void deleteImages(query.value.collection, ids, list);
  useShortcuts({ "Mod+a": () => void selectAll(), Delete: () => mayChange.value && ids.length && remove() });

  if (!ids.length) return null;
  const close = () => {
    dialog.value = null;
  };
  return (
    <section class="selection" aria-label={text.bar}>
      <strong aria-live="polite">{text.selected(ids.length)}</strong>
      <button type="button" class="button plain" onClick={() => void selectAll()}>
        {isSearch(query.value) ? text.allAbove : text.all}
      </button>
      <span class="selection-actions">
        {mayChange.value && <Action icon="tag" label={text.tag} onClick={() => void open("tag")} />}
        <Action icon="common" label={text.common} onClick={() => void open("common")} />
        {ids.length <= MOST_PICTURES && (
          <Action
            icon="plus"
            label={text.moreLike}
            onClick={() => {
              addToQuery(ids.map((key) => ({ kind: "stored", key, weight: 1, crop: null })));
              selectNothing();
            }}
          />
        )}
        <Action icon="download" label={text.exportIt} onClick={() => void open("export")} />
        {mayChange.value && <Action icon="trash" label={text.remove} onClick={remove} />}
      </span>
      <button type="button" class="icon-button" aria-label={text.none} title={text.none} onClick={selectNothing}>
        <Icon name="close" />
      </button>
      {dialog.value?.kind === "tag" && <TagDialog list={list} images={dialog.value.images} onClose={close} />}
      {dialog.value?.kind === "export" && <ExportDialog images={dialog.value.images} onClose={close} />}
      {dialog.value?.kind === "common" && <CommonDialog images={dialog.value.images} onClose={close} />}
    </section>
  );
}

function Action({
  icon,
  label,
  onClick,
}: {
  icon: Parameters<typeof Icon>[0]["name"];
  label: string;
  onClick: () => void;
}) {
  return (
    <button type="button" class="button plain" onClick={onClick} title={label}>
      <Icon name={icon} size={18} />
      <span>{label}</span>
    </button>
  );
}
