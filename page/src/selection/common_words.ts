// Asks for the words nearest to the mean of images.

import { services } from "../api/clients";
import type { Image } from "../gen/semsearch/v1/image_pb";
import type { Tag } from "../gen/semsearch/v1/search_service_pb";

const WORDS = 16;
// The API takes this many; the mean of more is hardly another.
const MOST_IMAGES = 1_000;

export async function commonWords(images: readonly Image[], signal: AbortSignal): Promise<Tag[]> {
  const imageIds = images.slice(0, MOST_IMAGES).map(({ id }) => id);
  const collection = images[0]?.collection ?? "";
  const found = await services.search.tagImage({ imageIds, collection, maxTags: WORDS, minRelevance: 0 }, { signal });
  return found.tags;
}
