// Asks for the words nearest to the mean of images.

import { services } from "../api/clients";
import type { Image } from "../gen/semsearch/v1/image_pb";
import type { Tag } from "../gen/semsearch/v1/search_service_pb";

const WORDS = 16;

export async function commonWords(images: readonly Image[], signal: AbortSignal): Promise<Tag[]> {
  const first = images[0];
  if (!first) return [];
  const source = { case: "imageId" as const, value: first.id };
  const found = await services.search.tagImage(
    { source, collection: first.collection, maxTags: WORDS, minRelevance: 0 },
    { signal },
  );
  return found.tags;
}
