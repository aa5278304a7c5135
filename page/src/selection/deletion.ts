// Deletion with undo: the images leave the screen at once, and the server some seconds later. If the page is closed
// before that, nothing is deleted.

import { signal } from "@preact/signals";
import { services } from "../api/clients";
import { messageOf } from "../api/errors";
import { showMessage } from "../frame/messages";
import type { ResultList } from "../results/result_list";
import { current, forgetOthers, shown } from "../state/search";
import { deselect } from "./selection";
import { text } from "./text";

/** Images that are about to be deleted; no view shows them. */
export const leaving = signal<ReadonlySet<string>>(new Set());

const UNDO_MS = 7_000;
// The API takes this many in one call.
const BATCH = 1_000;

/** Delete images of a list, unless the person undoes it in time. */
export async function deleteImages(collection: string, ids: readonly string[], list: ResultList): Promise<void> {
  const gone = new Set(ids);
  leaving.value = new Set([...leaving.value, ...gone]);
  deselect(gone);
  if (await isUndone(ids.length)) return stay(gone);
  let deleted = 0;
  let problem = "";
  try {
    for (let at = 0; at < ids.length; at += BATCH) {
      const batch = ids.slice(at, at + BATCH);
      deleted += (await services.gallery.deleteImages({ collection, ids: batch })).deletedCount;
      removeFromLists(collection, new Set(batch), list);
    }
  } catch (error) {
    problem = messageOf(error);
  }
  showMessage(problem ? text.notAllDeleted(deleted, problem) : text.deleted(deleted));
  // Images that were not deleted, or are added again, are shown again.
  stay(gone);
}

/** Remove deleted images from the list they were selected in and from those on the screen now; forget the others. */
function removeFromLists(collection: string, ids: ReadonlySet<string>, list: ResultList): void {
  for (const each of new Set([list, current.value, shown.value])) {
    if (each?.query.collection === collection) each.remove(ids);
  }
  forgetOthers();
}

function stay(ids: ReadonlySet<string>): void {
  leaving.value = new Set([...leaving.value].filter((id) => !ids.has(id)));
}

/** Say what will happen; return whether the person undoes it. */
function isUndone(count: number): Promise<boolean> {
  return new Promise((resolve) => {
    const hide = showMessage(text.deleting(count), {
      forMs: UNDO_MS,
      action: {
        label: text.undo,
        act: () => {
          hide();
          resolve(true);
        },
      },
    });
    setTimeout(() => resolve(false), UNDO_MS);
  });
}
