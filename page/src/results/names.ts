// What an image is called, where a name is needed.

import type { Image } from "../gen/semsearch/v1/image_pb";

/** Its file's name if it is known, else the beginning of its id. */
export function nameOf({ attributes, originalAt, id }: Image): string {
  const name = attributes?.name;
  if (typeof name === "string" && name) return name;
  if (originalAt) return originalAt.slice(originalAt.lastIndexOf("/") + 1);
  return /^[0-9a-f]{64}$/.test(id) ? id.slice(0, 12) : id;
}

/** Where it lies, as far as that is known, else its id. */
export function pathOf({ attributes, originalAt, id }: Image): string {
  if (originalAt) return originalAt;
  const paths = attributes?.paths;
  const first = Array.isArray(paths) ? paths[0] : undefined;
  return typeof first === "string" ? first : id;
}
