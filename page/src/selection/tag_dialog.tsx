// Gives the selected images an attribute.

import { create } from "@bufbuild/protobuf";
import { FieldMaskSchema } from "@bufbuild/protobuf/wkt";
import { useSignal } from "@preact/signals";
import { services } from "../api/clients";
import { messageOf } from "../api/errors";
import { Dialog } from "../frame/dialog";
import { showMessage } from "../frame/messages";
import type { Image } from "../gen/semsearch/v1/image_pb";
import type { ResultList } from "../results/result_list";
import { forgetOthers } from "../state/search";
import { attributeName, changedValue } from "./attributes";
import { inParallel } from "./in_parallel";
import { text } from "./text";

interface Properties {
  list: ResultList;
  images: readonly Image[];
  onClose: () => void;
}

export function TagDialog({ list, images, onClose }: Properties) {
  const name = useSignal("tags");
  const value = useSignal("");
  const done = useSignal<number | null>(null);

  const save = async () => {
    done.value = 0;
    const changed: Image[] = [];
    let problem = "";
    await inParallel(images, async (image) => {
      try {
        const updated = await update(image, name.value.trim(), value.value.trim());
        if (updated) changed.push(updated);
      } catch (error) {
        problem = messageOf(error);
      }
      done.value = (done.value ?? 0) + 1;
    });
    list.update(changed);
    forgetOthers();
    showMessage(problem ? text.someFailed(images.length - changed.length, problem) : text.tagged(changed.length));
    onClose();
  };

  const isReady = name.value.trim() !== "" && value.value.trim() !== "" && done.value === null;
  return (
    <Dialog title={text.tagTitle(images.length)} onClose={onClose}>
      <form
        class="dialog-form"
        onSubmit={(event) => {
          event.preventDefault();
          if (isReady) void save();
        }}
      >
        <p class="quiet">{text.tagHelp}</p>
        <label>
          {text.name}
          <input
            class="field"
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
            autofocus
            value={value.value}
            onInput={(event) => {
              value.value = event.currentTarget.value;
            }}
          />
        </label>
        <div class="dialog-buttons">
          <span role="status">{done.value !== null && text.tagging(done.value, images.length)}</span>
          <button type="button" class="button plain" onClick={onClose}>
            {text.cancel}
          </button>
          <button type="submit" class="button main" disabled={!isReady}>
            {text.save}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

async function update(image: Image, name: string, value: string): Promise<Image | undefined> {
  const attributes = { ...image.attributes, [name]: changedValue(image.attributes?.[name], name, value) };
  const { image: updated } = await services.gallery.updateImage({
    image: { id: image.id, collection: image.collection, attributes },
    updateMask: create(FieldMaskSchema, { paths: [`attributes.${attributeName(name)}`] }),
  });
  return updated;
}
