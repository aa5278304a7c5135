// Sends files to the server, a few calls at a time, and keeps the result of each. Sending goes on while other views are
// open. What an overloaded or absent server refuses is sent again later. What the server confirms is on its disk.

import { Code, ConnectError } from "@connectrpc/connect";
import { computed, signal } from "@preact/signals";
import { services } from "../api/clients";
import { isAway } from "../api/connection";
import { messageOf, reasonOf } from "../api/errors";
import type { IndexImagesResult } from "../gen/semsearch/v1/gallery_service_pb";
import { refresh } from "../state/search";
import type { Picked } from "./files";
import { text } from "./text";

export type State = "waiting" | "sending" | "added" | "duplicate" | "failed";

export interface Upload extends Picked {
  key: number;
  collection: string;
  state: State;
  /** The image's id, once it has one. */
  id: string;
  /** Why it failed, for a person. */
  problem: string;
}

/** All files since the list was last cleared. */
export const uploads = signal<readonly Upload[]>([]);
export const counts = computed(() => {
  const found: Record<State, number> = { waiting: 0, sending: 0, added: 0, duplicate: 0, failed: 0 };
  for (const { state } of uploads.value) found[state] += 1;
  return found;
});
export const isSending = computed(() => counts.value.waiting + counts.value.sending > 0);

const CALLS = 2;
const FILES_A_CALL = 12;
const BYTES_A_CALL = 16 * 2 ** 20;
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 10_000;

let lastKey = 0;
let running = 0;
let stopping = new AbortController();

/** Send files to a collection, behind those that wait already. */
export function send(files: readonly Picked[], collection: string): void {
  const added = files.map(({ file, path }) => {
    lastKey += 1;
    return { key: lastKey, file, path, collection, state: "waiting" as const, id: "", problem: "" };
  });
  uploads.value = [...uploads.value, ...added];
  start();
}

/** Drop the files that wait, and cancel the running calls. What the server has confirmed stays there. */
export function stop(): void {
  stopping.abort();
  stopping = new AbortController();
  uploads.value = uploads.value.filter(({ state }) => state !== "waiting" && state !== "sending");
}

/** Send again what failed. */
export function retry(): void {
  change(
    uploads.value.filter(({ state }) => state === "failed"),
    () => ({ state: "waiting", problem: "" }),
  );
  start();
}

/** Remove finished files from the list. */
export function clear(): void {
  uploads.value = uploads.value.filter(({ state }) => state === "waiting" || state === "sending");
}

function start(): void {
  while (running < CALLS) {
    running += 1;
    void work(stopping.signal).finally(() => {
      running -= 1;
      // Files may have come while this worker, already stopped, was counted.
      if (counts.value.waiting) start();
      else if (!running && !isSending.value) refresh();
    });
  }
}

async function work(stopped: AbortSignal): Promise<void> {
  let pause = FIRST_PAUSE;
  for (let batch = next(); batch.length && !stopped.aborted; batch = next()) {
    change(batch, () => ({ state: "sending" }));
    try {
      await call(batch, stopped);
      pause = FIRST_PAUSE;
    } catch (error) {
      if (stopped.aborted) return;
      if (isPassing(error)) {
        change(batch, () => ({ state: "waiting" }));
        await new Promise((resolve) => setTimeout(resolve, pause));
        pause = Math.min(2 * pause, LONGEST_PAUSE);
      } else change(batch, () => ({ state: "failed", problem: messageOf(error) }));
    }
  }
}

/** Return the next files of one collection that fit into a call. */
function next(): Upload[] {
  const batch: Upload[] = [];
  let bytes = 0;
  for (const upload of uploads.value) {
    if (upload.state !== "waiting") continue;
    bytes += upload.file.size;
    const isFull = batch.length === FILES_A_CALL || bytes > BYTES_A_CALL || upload.collection !== batch[0]?.collection;
    if (batch.length && isFull) break;
    batch.push(upload);
  }
  return batch;
}

async function call(batch: readonly Upload[], signal: AbortSignal): Promise<void> {
  const read = await Promise.all(batch.map(contentOf));
  const readable = batch.filter((_, at) => read[at] !== null);
  change(
    batch.filter((_, at) => read[at] === null),
    () => ({ state: "failed", problem: text.unreadable }),
  );
  if (!readable.length) return;
  const images = readable.map((upload) => ({
    content: read[batch.indexOf(upload)] ?? new Uint8Array(),
    attributes: attributesOf(upload),
  }));
  const { results } = await services.gallery.batchIndexImages(
    { collection: readable[0]?.collection ?? "", images },
    { signal },
  );
  change(readable, (_, at) => outcome(results[at]));
}

async function contentOf({ file }: Upload): Promise<Uint8Array<ArrayBuffer> | null> {
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch {
    // Moved or deleted since it was chosen.
    return null;
  }
}

function outcome(result: IndexImagesResult | undefined): Partial<Upload> {
  if (!result || result.status) return { state: "failed", problem: result?.status?.message ?? text.noResult };
  return { state: result.duplicateOf ? "duplicate" : "added", id: result.duplicateOf || result.id };
}

/** The attributes that `semsearch sync` writes too. */
export function attributesOf({ file, path }: Picked): Record<string, string> {
  const folder = path.slice(0, Math.max(0, path.lastIndexOf("/")));
  const modified = new Date(file.lastModified).toISOString();
  return { name: file.name, modified, ...(folder ? { path, folder } : {}) };
}

// Overload passes, and so does a restart of the server. A full disk does not.
const isPassing = (error: unknown): boolean =>
  isAway(error) ||
  (error instanceof ConnectError && error.code === Code.ResourceExhausted && reasonOf(error) !== "STORAGE_FULL");

function change(some: readonly Upload[], to: (upload: Upload, at: number) => Partial<Upload>): void {
  const changes = new Map(some.map((upload, at) => [upload.key, to(upload, at)]));
  if (!changes.size) return;
  uploads.value = uploads.value.map((upload) => {
    const changed = changes.get(upload.key);
    return changed ? { ...upload, ...changed } : upload;
  });
}

addEventListener("beforeunload", (event) => {
  if (isSending.peek()) event.preventDefault();
});
