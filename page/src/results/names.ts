// The names of images, and where their originals are.

import type { Image } from "../gen/semsearch/v1/image_pb";

/** Return the name of the file if it is known, else the beginning of the id. */
export function nameOf({ attributes, originalAt, id }: Image): string {
  const name = attributes?.name;
  if (typeof name === "string" && name) return name;
  if (originalAt) return originalAt.slice(originalAt.lastIndexOf("/") + 1);
  return /^[0-9a-f]{64}$/.test(id) ? id.slice(0, 12) : id;
}

/** Return where the original is, as the caller or `semsearch sync` said. */
export function placesOf({ originalAt, attributes }: Pick<Image, "originalAt" | "attributes">): string[] {
  const paths = attributes?.paths;
  const path = attributes?.path;
  const synced = Array.isArray(paths) ? paths.filter((each) => typeof each === "string") : [];
  const known = synced.length || typeof path !== "string" ? synced : [path];
  return [...new Set([originalAt, ...known])].filter(Boolean);
}

/** Return the first place of an image, else its id. */
export const pathOf = (image: Image): string => placesOf(image)[0] ?? image.id;
