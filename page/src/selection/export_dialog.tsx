// Saves the selected images: their paths, their data, or the originals.

import { toJson } from "@bufbuild/protobuf";
import { useSignal } from "@preact/signals";
import { messageOf } from "../api/errors";
import { versionAddress } from "../api/images";
import { Dialog } from "../frame/dialog";
import { type Image, ImageSchema } from "../gen/semsearch/v1/image_pb";
import { nameOf, pathOf } from "../results/names";
import { text } from "./text";

export function ExportDialog({ images, onClose }: { images: readonly Image[]; onClose: () => void }) {
  const fetched = useSignal<number | null>(null);
  const problem = useSignal("");

  const savePaths = () => save("images.txt", new Blob([`${images.map(pathOf).join("\n")}\n`], { type: "text/plain" }));
  const saveJson = () => {
    const described = images.map((image) => toJson(ImageSchema, image));
    save("images.json", new Blob([JSON.stringify(described, null, 2)], { type: "application/json" }));
  };
  const saveZip = async () => {
    problem.value = "";
    fetched.value = 0;
    try {
      const { downloadZip } = await import("client-zip");
      const files = originals(images, (count) => {
        fetched.value = count;
      });
      save("images.zip", await downloadZip(files).blob());
    } catch (error) {
      problem.value = text.exportFailed(messageOf(error));
    }
    fetched.value = null;
  };

  return (
    <Dialog title={text.exportTitle(images.length)} onClose={onClose}>
      <ul class="choices">
        <Choice label={text.paths} help={text.pathsHelp} onClick={savePaths} />
        <Choice label={text.json} help={text.jsonHelp} onClick={saveJson} />
        <Choice
          label={text.zip}
          help={fetched.value === null ? text.zipHelp : text.zipping(fetched.value, images.length)}
          isBusy={fetched.value !== null}
          onClick={() => void saveZip()}
        />
      </ul>
      <p role="status" class="problem">
        {problem.value}
      </p>
    </Dialog>
  );
}

interface ChoiceProperties {
  label: string;
  help: string;
  isBusy?: boolean;
  onClick: () => void;
}

function Choice({ label, help, isBusy = false, onClick }: ChoiceProperties) {
  return (
    <li>
      <button type="button" class="choice" disabled={isBusy} onClick={onClick}>
        <strong>{label}</strong>
        <span class="quiet">{help}</span>
      </button>
    </li>
  );
}

/** The files of a ZIP, one after the other; no name is used twice. */
async function* originals(images: readonly Image[], onFetched: (count: number) => void) {
  const used = new Set<string>();
  for (const [at, image] of images.entries()) {
    const response = await fetch(versionAddress(image, image.originalAt ? "thumbnail" : "original"));
    if (!response.ok) throw new Error(`${nameOf(image)}: ${response.status} ${response.statusText}`);
    yield { name: freeName(fileName(image), used), input: await response.blob(), lastModified: new Date() };
    onFetched(at + 1);
  }
}

function fileName(image: Image): string {
  const name = nameOf(image).replaceAll(/[\\/:*?"<>|]/g, "_");
  const ending = image.originalAt ? "webp" : (image.mediaType.split("/")[1] ?? "").replace("jpeg", "jpg");
  return /\.\w{2,5}$/.test(name) ? name : `${name}.${ending}`;
}

function freeName(name: string, used: Set<string>): string {
  let free = name;
  for (let number = 2; used.has(free); number += 1) free = name.replace(/(\.\w+)?$/, `-${number}$1`);
  used.add(free);
  return free;
}

function save(name: string, content: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
