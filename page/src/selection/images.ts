// What is known of the selected images. They may have been selected in other results, so some are asked for.

import { services } from "../api/clients";
import type { Image } from "../gen/semsearch/v1/image_pb";
import type { ResultList } from "../results/result_list";
import { inParallel } from "./in_parallel";

/** Return images in the order of the list, then the others; those that are gone are left out. */
export async function imagesOf(ids: readonly string[], collection: string, list: ResultList): Promise<Image[]> {
  const wanted = new Set(ids);
  const listed = list.results.value.map(({ image }) => image).filter(({ id }) => wanted.delete(id));
  const others: Image[] = [];
  await inParallel([...wanted], async (id) => {
    const { image } = await services.gallery.getImage({ id, collection }).catch(() => ({ image: undefined }));
    if (image) others.push(image);
  });
  return [...listed, ...others];
}
