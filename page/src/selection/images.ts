// The selected images. Some may have been selected in other results; those are fetched.

import { services } from "../api/clients";
import { reasonOf } from "../api/errors";
import type { Image } from "../gen/semsearch/v1/image_pb";
import type { ResultList } from "../results/result_list";
import { inParallel } from "./in_parallel";

/** Return images in the order of the list, then the others; those that are gone are left out. */
export async function imagesOf(ids: readonly string[], collection: string, list: ResultList): Promise<Image[]> {
  const wanted = new Set(ids);
  const listed = list.results.value.map(({ image }) => image).filter(({ id }) => wanted.delete(id));
  const others: Image[] = [];
  await inParallel([...wanted], async (id) => {
    try {
      const { image } = await services.gallery.getImage({ id, collection });
      if (image) others.push(image);
    } catch (error) {
      if (reasonOf(error) !== "IMAGE_NOT_FOUND") throw error;
    }
  });
  return [...listed, ...others];
}
