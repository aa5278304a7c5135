// Pictures that the person gives: chosen, pasted or dropped anywhere on the page.

import { showMessage } from "../frame/messages";
import { ask, query, view } from "../state/address";
import { keepPicture } from "../state/pictures";
import type { Picture } from "../state/query";
import { text } from "./text";

/** The API takes this many in one query. */
export const MOST_PICTURES = 16;

/** Add pictures to the query. */
export async function addPictures(files: readonly File[]): Promise<void> {
  const pictures = files.filter(isPicture);
  const other = files.find((file) => !isPicture(file));
  if (other) showMessage(text.notAPicture(other.name));
  const keys = await Promise.all(pictures.map(keepPicture));
  addToQuery(keys.map((key) => ({ kind: "own", key, weight: 1, crop: null })));
}

/** Add pictures to the query; one that is there already gets the new weight. */
export function addToQuery(added: readonly Picture[]): void {
  if (!added.length) return;
  const others = query.value.pictures.filter(
    (picture) => !added.some(({ kind, key }) => kind === picture.kind && key === picture.key),
  );
  const pictures = [...others, ...added];
  if (pictures.length > MOST_PICTURES) showMessage(text.tooMany(MOST_PICTURES));
  ask({ pictures: pictures.slice(0, MOST_PICTURES) });
}

/** Take what is pasted or dropped from now on, except in the view that adds files to a collection. */
export function takePictures(): void {
  const takes = () => view.value !== "add";
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length || !takes()) return;
    event.preventDefault();
    void addPictures(files);
  });
  let depth = 0;
  const mark = (change: number) => {
    depth = Math.max(0, depth + change);
    document.documentElement.classList.toggle("dropping", depth > 0);
  };
  const carriesFiles = (event: DragEvent) => takes() && [...(event.dataTransfer?.types ?? [])].includes("Files");
  addEventListener("dragenter", (event) => carriesFiles(event) && mark(1));
  addEventListener("dragleave", (event) => carriesFiles(event) && mark(-1));
  addEventListener("dragover", (event) => carriesFiles(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    mark(-depth);
    void addPictures([...(event.dataTransfer?.files ?? [])]);
  });
}

// A file without a type may be a picture that only the server can read, such as HEIC.
const isPicture = ({ type }: File): boolean => type === "" || type.startsWith("image/");
