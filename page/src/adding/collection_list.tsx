// The collections: how large they are, and create, rename, delete.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { services } from "../api/clients";
import { collections, fetchCollections } from "../api/collections";
import { messageOf } from "../api/errors";
import { DEFAULT_COLLECTION } from "../api/images";
import { mayChange, mayManage } from "../api/session";
import { Dialog } from "../frame/dialog";
import { showMessage } from "../frame/messages";
import type { Collection } from "../gen/semsearch/v1/image_pb";
import { counted } from "../i18n/language";
import { go, hrefOf, query } from "../state/address";
import { refresh } from "../state/search";
import { collectionId } from "./collection_id";
import { text } from "./text";
import { isSending } from "./uploads";

type Asking = { what: "create" } | { what: "rename" | "delete"; collection: Collection };

export function CollectionList() {
  const asking = useSignal<Asking | null>(null);
  const sending = isSending.value;
  useEffect(() => {
    // The counts change when files have been sent.
    if (!sending) void fetchCollections().catch(() => {});
  }, [sending]);
  const close = () => {
    asking.value = null;
  };
  return (
    <section class="collections" aria-labelledby="collections">
      <div class="collections-head">
        <h2 id="collections">{text.collections}</h2>
        {mayChange.value && (
          <button
            type="button"
            class="button"
            onClick={() => {
              asking.value = { what: "create" };
            }}
          >
            {text.newCollection}
          </button>
        )}
      </div>
      <ul>
        {collections.value.map((collection) => (
          <li key={collection.id}>
            <a
              href={hrefOf({
                in: collection.id === DEFAULT_COLLECTION ? null : collection.id,
                view: null,
                q: null,
                p: null,
              })}
            >
              {collection.displayName || collection.id}
            </a>
            <span class="quiet">
              {collection.displayName && collection.displayName.toLowerCase() !== collection.id
                ? `${collection.id} · `
                : ""}
              {counted(Number(collection.imageCount), text.image, text.images)}
            </span>
            {mayManage.value && (
              <span class="collection-acts">
                {collection.id !== DEFAULT_COLLECTION && (
                  <button
                    type="button"
                    class="button plain"
                    aria-label={text.renameOf(collection.id)}
                    onClick={() => {
                      asking.value = { what: "rename", collection };
                    }}
                  >
                    {text.rename}
                  </button>
                )}
                <button
                  type="button"
                  class="button plain"
                  aria-label={(collection.id === DEFAULT_COLLECTION ? text.emptyOf : text.deleteOf)(collection.id)}
                  onClick={() => {
                    asking.value = { what: "delete", collection };
                  }}
                >
                  {collection.id === DEFAULT_COLLECTION ? text.empty : text.delete}
                </button>
              </span>
            )}
          </li>
        ))}
      </ul>
      {asking.value?.what === "delete" && <Deletion collection={asking.value.collection} onClose={close} />}
      {asking.value && asking.value.what !== "delete" && (
        <Naming collection={asking.value.what === "rename" ? asking.value.collection : null} onClose={close} />
      )}
    </section>
  );
}

/** Creates a collection, or gives one another id. */
function Naming({ collection, onClose }: { collection: Collection | null; onClose: () => void }) {
  const written = useSignal(collection?.id ?? "");
  const problem = useSignal("");
  const id = collectionId(written.value);
  const save = async () => {
    try {
      if (collection) {
        await services.gallery.renameCollection({ collectionId: collection.id, newCollectionId: id });
      } else await services.gallery.createCollection({ collectionId: id });
      await fetchCollections();
      if (!collection || query.value.collection === collection.id) go({ in: id }, { replace: true });
      onClose();
    } catch (error) {
      problem.value = messageOf(error);
    }
  };
  return (
    <Dialog title={collection ? text.renameOf(collection.id) : text.newCollection} onClose={onClose}>
      <form
        class="dialog-form"
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        <label>
          {text.name}
          <input
            class="field"
            type="text"
            maxLength={63}
            required
            value={written.value}
            onInput={(event) => {
              written.value = event.currentTarget.value;
            }}
          />
        </label>
        {id && id !== written.value && <p class="quiet">{text.idWillBe(id)}</p>}
        {problem.value && <p role="alert">{problem.value}</p>}
        <div class="dialog-buttons">
          <button type="submit" class="button main" disabled={!id}>
            {collection ? text.rename : text.create}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function Deletion({ collection, onClose }: { collection: Collection; onClose: () => void }) {
  const problem = useSignal("");
  const isDefault = collection.id === DEFAULT_COLLECTION;
  const count = Number(collection.imageCount);
  const remove = async () => {
    try {
      const { deletedImageCount } = await services.gallery.deleteCollection({ collectionId: collection.id });
      if (query.value.collection === collection.id) go({ in: null }, { replace: true });
      await fetchCollections();
      refresh();
      showMessage(text.deleted(Number(deletedImageCount)));
      onClose();
    } catch (error) {
      problem.value = messageOf(error);
    }
  };
  return (
    <Dialog
      title={isDefault ? text.emptyTitle : text.deleteTitle(collection.displayName || collection.id)}
      onClose={onClose}
    >
      <p>{text.deleteHelp(count)}</p>
      {problem.value && <p role="alert">{problem.value}</p>}
      <div class="dialog-buttons">
        <button type="button" class="button" onClick={onClose}>
          {text.keep}
        </button>
        <button type="button" class="button main" onClick={() => void remove()}>
          {isDefault ? text.empty : text.delete}
        </button>
      </div>
    </Dialog>
  );
}
