// The collections, and what is fixed about them until their model changes.

import { signal } from "@preact/signals";
import type { Collection } from "../gen/semsearch/v1/image_pb";
import { services } from "./clients";
import { DEFAULT_COLLECTION } from "./images";

/** The collections by id, once they are known. */
export const collections = signal<readonly Collection[]>([]);

const LARGEST_PAGE = 1_000;
const cuts = new Map<string, Promise<number>>();

/** Fetch the collections again. */
export async function fetchCollections(): Promise<void> {
  const all: Collection[] = [];
  let pageToken = "";
  do {
    const page = await services.gallery.listCollections({ pageSize: LARGEST_PAGE, pageToken });
    all.push(...page.collections);
    pageToken = page.nextPageToken;
  } while (pageToken);
  collections.value = all;
}

/** Return the relevance below which the collection's model leaves matches of words out. */
export function collectionCut(collection: string): Promise<number> {
  const known = cuts.get(collection);
  if (known) return known;
  const asked = askForCut(collection || DEFAULT_COLLECTION);
  cuts.set(collection, asked);
  asked.catch(() => cuts.delete(collection));
  return asked;
}

/** Forget what depends on models, because one was activated. */
export function forgetModels(): void {
  cuts.clear();
}

async function askForCut(collectionId: string): Promise<number> {
  const { collection } = await services.gallery.getCollection({ collectionId });
  const { model } = await services.models.getModel({ id: collection?.modelId ?? "" });
  return model?.defaultMinRelevance ?? 0;
}
