// Deletion with undo: the images leave the screen at once, and the server some seconds later. If the page is closed
// before that, nothing is deleted: what was not undone in time must not surprise anyone.

import { signal } from "@preact/signals";
import { services } from "../api/clients";
import { messageOf } from "../api/errors";
import { tell } from "../frame/messages";
import { forgetOthers } from "../state/search";
import { deselect } from "./selection";
import { text } from "./text";

/** Images that are about to be deleted; no view shows them. */
export const leaving = signal<ReadonlySet<string>>(new Set());

const UNDO_MS = 7_000;
// The API takes this many in one call.
const BATCH = 1_000;

/** Delete images, unless the person undoes it in time; `onDeleted` takes them out of the list for good. */
export async function deleteImages(
  collection: string,
  ids: readonly string[],
  onDeleted: (ids: ReadonlySet<string>) => void,
): Promise<void> {
  const gone = new Set(ids);
  leaving.value = leaving.value.union(gone);
  deselect(gone);
  if (await isUndone(ids.length)) return stay(gone);
  try {
    let deleted = 0;
    for (let at = 0; at < ids.length; at += BATCH) {
      deleted += (await services.gallery.deleteImages({ collection, ids: ids.slice(at, at + BATCH) })).deletedCount;
    }
    onDeleted(gone);
    forgetOthers();
    tell(text.deleted(deleted));
  } catch (error) {
    tell(text.notDeleted(messageOf(error)));
  }
  // Images that are added again are shown again.
  stay(gone);
}

function stay(ids: ReadonlySet<string>): void {
  leaving.value = leaving.value.difference(ids);
}

/** Tell what will happen; return whether the person undoes it. */
function isUndone(count: number): Promise<boolean> {
  return new Promise((resolve) => {
    const takeAway = tell(text.deleting(count), {
      forMs: UNDO_MS,
      action: {
        label: text.undo,
        act: () => {
          takeAway();
          resolve(true);
        },
      },
    });
    setTimeout(() => resolve(false), UNDO_MS);
  });
}
