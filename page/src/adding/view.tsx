// Adding: a person drops or chooses files and folders. The page sends them to a collection and shows the result of each.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { collections, fetchCollections } from "../api/collections";
import { DEFAULT_COLLECTION } from "../api/images";
import { mayChange } from "../api/session";
import { Icon } from "../frame/icons";
import { showMessage } from "../frame/messages";
import { go, query } from "../state/address";
import { CollectionList } from "./collection_list";
import { filesIn, filesOf, isPicture, type Picked } from "./files";
import { Progress } from "./progress";
import { text } from "./text";
import { send } from "./uploads";

export default function AddingView() {
  useEffect(() => {
    void fetchCollections().catch(() => {
      // Without them, the default collection is there.
    });
  }, []);
  const leftOut = useSignal<readonly string[]>([]);
  const take = (files: readonly Picked[]) => {
    leftOut.value = files.filter(({ file }) => !isPicture(file)).map(({ path }) => path);
    send(
      files.filter(({ file }) => isPicture(file)),
      query.value.collection,
    );
  };
  return (
    <div class="adding">
      <h2>{text.title}</h2>
      {mayChange.value ? <DropPlace onFiles={take} /> : <p>{text.mayNotAdd}</p>}
      {leftOut.value.length > 0 && (
        <p class="quiet" role="status">
          {text.leftOut(leftOut.value.length, leftOut.value[0] ?? "")}
        </p>
      )}
      <Progress />
      <CollectionList />
    </div>
  );
}

function DropPlace({ onFiles }: { onFiles: (files: readonly Picked[]) => void }) {
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const isOver = useSignal(false);
  useEffect(() => {
    const carriesFiles = ({ dataTransfer }: DragEvent) => dataTransfer?.types.includes("Files") ?? false;
    const over = (event: DragEvent) => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      isOver.value = true;
    };
    const leave = (event: DragEvent) => {
      if (event.relatedTarget === null) isOver.value = false;
    };
    const drop = (event: DragEvent) => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      isOver.value = false;
      filesIn(event.dataTransfer as DataTransfer).then(onFiles, () => showMessage(text.folderUnreadable));
    };
    const paste = (event: ClipboardEvent) => {
      const pasted = [...(event.clipboardData?.files ?? [])];
      if (pasted.length) onFiles(pasted.map((file) => ({ file, path: file.name })));
    };
    addEventListener("dragover", over);
    addEventListener("dragleave", leave);
    addEventListener("drop", drop);
    addEventListener("paste", paste);
    return () => {
      removeEventListener("dragover", over);
      removeEventListener("dragleave", leave);
      removeEventListener("drop", drop);
      removeEventListener("paste", paste);
    };
  }, [isOver, onFiles]);
  const chosen = (event: { currentTarget: HTMLInputElement }) => {
    onFiles(filesOf(event.currentTarget));
    event.currentTarget.value = "";
  };
  const here = query.value.collection || DEFAULT_COLLECTION;
  return (
    <section class={`drop-place${isOver.value ? " over" : ""}`} aria-label={text.title}>
      <Icon name="add" size={36} />
      <p class="drop-invite">{text.drop}</p>
      <p class="drop-buttons">
        <button type="button" class="button main" onClick={() => files.current?.click()}>
          {text.chooseFiles}
        </button>
        <button type="button" class="button" onClick={() => folder.current?.click()}>
          {text.chooseFolder}
        </button>
      </p>
      <label class="drop-collection">
        <span>{text.into}</span>
        <select
          class="field"
          value={here}
          onChange={(event) => {
            const id = event.currentTarget.value;
            go({ in: id === DEFAULT_COLLECTION ? null : id }, { replace: true });
          }}
        >
          {(collections.value.some(({ id }) => id === here) ? [] : [here]).map((id) => (
            <option key={id}>{id}</option>
          ))}
          {collections.value.map(({ id, displayName }) => (
            <option key={id} value={id}>
              {displayName || id}
            </option>
          ))}
        </select>
      </label>
      <input
        ref={files}
        type="file"
        accept="image/*,.heic,.heif,.dng,.arw,.cr2,.cr3,.nef,.orf,.raf,.rw2"
        multiple
        hidden
        onChange={chosen}
      />
      <input ref={folder} type="file" {...{ webkitdirectory: true }} multiple hidden onChange={chosen} />
    </section>
  );
}
